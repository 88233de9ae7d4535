"""The sandbox object: opening, closing, threads, loops, forks."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from fake_daemon import CUT, info, result, stdout
from sandboxd_client import (
    AsyncSandbox,
    InDoubtError,
    Limits,
    NotStartedError,
    Outcome,
    RefusedError,
    Sandbox,
    SessionLostError,
)
from sandboxd_proto.v1 import sandbox_pb2 as pb

if TYPE_CHECKING:
    from fake_daemon import FakeDaemon


def test_the_constructor_opens_nothing_and_the_first_call_does(fake: FakeDaemon) -> None:
    sandbox = Sandbox(address=fake.address)
    assert fake.requests == []
    with pytest.raises(RefusedError, match="NOT_OPEN"):
        sandbox.session_id  # noqa: B018
    fake.scripts.put([result(text="1")])
    assert sandbox.run_code("1").text == "1"
    assert fake.requests == ["open", "execute"]
    sandbox.close()


def test_what_is_wanted_reaches_the_daemon(fake: FakeDaemon) -> None:
    limits = Limits(wall_seconds=1.5, pids=0)
    with Sandbox("p", fake.address, limits=limits, labels={"a": "b"}, lease_seconds=9) as sandbox:
        assert (sandbox.address, sandbox.display_id) == (fake.address, "s-display")
    wanted = fake.wanted
    assert (wanted.policy, dict(wanted.labels), wanted.lease_seconds) == ("p", {"a": "b"}, 9)
    assert (wanted.limits.wall_seconds, wanted.limits.HasField("pids")) == (1.5, True)
    assert not wanted.limits.HasField("cpu_seconds")


def test_the_environment_names_the_daemon(fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOXD_ADDRESS", fake.address)
    with Sandbox() as sandbox:
        assert sandbox.address == fake.address


def test_the_capability_shows_nowhere(sandbox: Sandbox) -> None:
    assert sandbox.session_id == "secret-session-one"
    assert "secret" not in repr(sandbox) + repr(sandbox.info) + repr(vars(sandbox))


def test_nobody_there_means_not_started() -> None:
    with pytest.raises(NotStartedError, match="UNREACHABLE"):
        Sandbox(address="unix:/nonexistent/s.sock").open()


@pytest.mark.parametrize(
    "address", ["tcp:1.2.3.4:5", "localhost:80", "unix:", "dns:///x", "unix:/" + "x" * 108]
)
def test_an_address_that_is_no_unix_socket_is_refused(address: str) -> None:
    with pytest.raises(RefusedError, match="ADDRESS_INVALID"):
        Sandbox(address=address).open()


def test_a_refused_open_says_why_and_may_be_tried_again(fake: FakeDaemon) -> None:
    fake.refuse_open = info("POLICY_NOT_FOUND", names="a, b")
    sandbox = Sandbox("nope", fake.address)
    with pytest.raises(RefusedError) as caught:
        sandbox.open()
    assert (caught.value.code, caught.value.metadata) == ("POLICY_NOT_FOUND", {"names": "a, b"})
    fake.refuse_open = None
    with sandbox:
        assert sandbox.display_id == "s-display"


def test_opening_is_bounded(fake: FakeDaemon) -> None:
    fake._on_open = lambda *_: None  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(Exception, match="DEADLINE_EXCEEDED"):
        Sandbox(address=fake.address, open_timeout=0.3).open()
    assert time.monotonic() - began < 3


def test_close_twice_and_then_no_more(fake: FakeDaemon, sandbox: Sandbox) -> None:
    sandbox.close()
    sandbox.close()
    assert fake.requests.count("close") == 1
    with pytest.raises(NotStartedError, match="CLOSED"):
        sandbox.run_code("x")
    with pytest.raises(NotStartedError, match="CLOSED"):
        sandbox.files.list()


def test_close_without_open_is_nothing() -> None:
    Sandbox(address="unix:/nowhere").close()


def test_close_from_another_thread_ends_a_running_call(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.opened.limits.wall_seconds = 30
    fake.scripts.put([stdout(b"x")])
    running = threading.Event()
    closer = threading.Thread(target=lambda: running.wait() and sandbox.close())
    closer.start()
    sandbox._opened_session().opened.limits.wall_seconds = 30
    began = time.monotonic()

    with pytest.raises(SessionLostError):
        sandbox.run_code("x", on_stdout=lambda _: running.set())

    closer.join(10)
    assert not closer.is_alive()
    assert time.monotonic() - began < 8


def test_interrupt_from_another_thread(fake: FakeDaemon, sandbox: Sandbox) -> None:
    assert sandbox.interrupt() is False
    fake.scripts.put([stdout(b"x"), fake.interrupted, result(outcome=pb.OUTCOME_CANCELLED)])
    said: list[bool] = []

    def interrupt(_: str) -> None:
        thread = threading.Thread(target=lambda: said.append(sandbox.interrupt()))
        thread.start()
        thread.join()

    assert sandbox.run_code("x", on_stdout=interrupt).outcome is Outcome.CANCELLED
    assert said == [True]


def test_threads_do_not_mix_what_they_get(fake: FakeDaemon) -> None:
    def one(number: int, texts: dict[int, str | None]) -> None:
        with Sandbox(address=fake.address) as sandbox:
            for _ in range(5):
                texts[number] = sandbox.run_code(str(number)).text

    original = fake._on_execute

    def echo(request: pb.SessionRequest, outbox: object) -> None:
        with lock:
            fake.scripts.put([0.005, result(text=request.execute.code)])
            original(request, outbox)

    lock = threading.Lock()
    fake._on_execute = echo  # type: ignore[method-assign]
    texts: dict[int, str | None] = {}
    threads = [threading.Thread(target=one, args=(number, texts)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert texts == {number: str(number) for number in range(4)}


async def test_the_synchronous_class_works_inside_a_running_loop(fake: FakeDaemon) -> None:
    fake.scripts.put([result(text="1")])
    with Sandbox(address=fake.address) as sandbox:  # as in a notebook
        assert sandbox.run_code("1").text == "1"


async def test_callbacks_may_be_coroutines(fake: FakeDaemon) -> None:
    seen: list[str] = []

    async def collect(text: str) -> None:
        await asyncio.sleep(0)
        seen.append(text)

    fake.scripts.put([stdout(b"a"), CUT, stdout(b"b"), result()])
    async with AsyncSandbox(address=fake.address) as sandbox:
        assert (await sandbox.run_code("x", on_stdout=collect)).stdout == "ab"
    assert seen == ["a", "b"]


async def test_a_cancelled_task_interrupts_and_leaves_the_session_free(fake: FakeDaemon) -> None:
    fake.scripts.put([stdout(b"a"), fake.interrupted, result(outcome=pb.OUTCOME_CANCELLED)])
    async with AsyncSandbox(address=fake.address) as sandbox:
        started = asyncio.Event()
        task = asyncio.create_task(sandbox.run_code("x", on_stdout=lambda _: started.set()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert fake.interrupted.is_set()
        fake.scripts.put([result(text="2")])
        assert (await sandbox.run_code("y")).text == "2"


async def test_asynchronous_failures_have_the_same_classes(fake: FakeDaemon) -> None:
    async with AsyncSandbox(address=fake.address) as sandbox:
        fake.scripts.put([0.1])
        with pytest.raises(InDoubtError):
            await sandbox.run_code("x", timeout=0.1)
        fake.scripts.put([stdout(b"x"), CUT])
        fake.incarnation = "two"
        with pytest.raises(SessionLostError):
            await sandbox.run_code("y")


async def test_sandboxes_open_side_by_side(fake: FakeDaemon) -> None:
    sandbox = AsyncSandbox(address=fake.address)
    await asyncio.gather(*(sandbox.open() for _ in range(5)))
    assert fake.requests == ["open"]
    await asyncio.gather(sandbox.close(), sandbox.close())


def test_get_execution_is_the_way_out_of_doubt(fake: FakeDaemon, sandbox: Sandbox) -> None:
    late = threading.Event()
    fake.scripts.put([stdout(b"out"), late, result(text="9")])
    with pytest.raises(InDoubtError) as caught:
        sandbox.run_code("x", timeout=0.1)
    assert sandbox.get_execution(caught.value.execution_id) is None
    late.set()
    time.sleep(0.2)
    execution = sandbox.get_execution(caught.value.execution_id)
    assert execution is not None
    assert (execution.text, execution.stdout, execution.execution_id) == (
        "9",
        "out",
        caught.value.execution_id,
    )
    with pytest.raises(RefusedError, match="EXECUTION_NOT_FOUND"):
        sandbox.get_execution("unknown-id")


def test_a_negative_timeout_is_the_callers_error(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="negative"):
        sandbox.run_code("x", timeout=-1)


def test_code_that_is_no_text_leaves_the_sandbox_free(fake: FakeDaemon, sandbox: Sandbox) -> None:
    for code in (b"bytes\xff", 7, "\ud800"):
        with pytest.raises((TypeError, ValueError)):
            sandbox.run_code(code)  # type: ignore[arg-type]
    fake.scripts.put([result()])
    assert sandbox.run_code("1").ok


def test_a_forked_child_may_not_use_or_end_the_parents_sandbox(fake: FakeDaemon, sandbox: Sandbox) -> None:
    # The check itself: forking this process, which runs a gRPC server, would test gRPC and not us.
    sandbox._pid = sandbox._opened_session()._pid = os.getpid() + 1
    with pytest.raises(NotStartedError, match="FORKED"):
        sandbox.run_code("x")
    sandbox.close()
    assert "close" not in fake.requests
