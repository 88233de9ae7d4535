"""Fork, checkpoint and rollback through the real daemon: who gets what, who is refused, and that nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import grpc
import pytest
from daemons import SLOWNESS, Daemon, StartDaemon
from sandboxd_client import (
    AsyncSandbox,
    Limits,
    NotStartedError,
    Outcome,
    RefusedError,
    Sandbox,
    SandboxError,
    SessionLostError,
)
from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc
from traces import family, settle
from wire_client import connected, new_id

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.userns
WAIT_SECONDS = 20 * SLOWNESS
MIB = 1 << 20


@pytest.fixture
def sandbox(daemon: Daemon) -> Iterator[Sandbox]:
    with Sandbox("unscreened", daemon.address) as sandbox:
        yield sandbox


def text(sandbox: Sandbox, code: str) -> str | None:
    execution = sandbox.run_code(code)
    assert execution.ok, execution
    return execution.text


def stats(daemon: Daemon) -> pb.StatsResponse:
    with grpc.insecure_channel(daemon.admin_address) as channel:
        return rpc.AdminServiceStub(channel).Stats(pb.StatsRequest(), timeout=30)


def logged(daemon: Daemon, kind: str) -> list[dict[str, object]]:
    lines = [
        line
        for path in sorted((daemon.state_dir / "log").glob("log-*"))
        for line in path.read_text().splitlines()
    ]
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def refusal(call: object, *arguments: object) -> SandboxError:
    with pytest.raises(SandboxError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value


# ---- forks --------------------------------------------------------------------------------------------------


def test_clones_go_on_alone_in_variables_files_and_random_numbers(sandbox: Sandbox) -> None:
    sandbox.run_code("import random\nrandom.seed(1)\nx = ['common']\nopen('kept', 'w').write('common')")
    left, right = sandbox.fork(2)
    with left, right:
        for name, clone in (("left", left), ("right", right)):
            clone.run_code(
                f"x.append({name!r})\nopen('kept', 'a').write({name!r})\nopen({name!r}, 'w').close()"
            )
        assert text(left, "x, open('kept').read()") == "(['common', 'left'], 'commonleft')"
        assert text(right, "x, open('kept').read()") == "(['common', 'right'], 'commonright')"
        assert text(sandbox, "x, open('kept').read()") == "(['common'], 'common')"
        import_os = "import os; sorted(os.listdir())"
        assert (text(left, import_os), text(right, import_os)) == ("['kept', 'left']", "['kept', 'right']")
        assert len({text(one, "random.random()") for one in (left, right)}) == 2, "random state is their own"


def test_files_of_a_clone_are_served_from_its_own_directory(sandbox: Sandbox) -> None:
    sandbox.files.write("data.txt", b"common")
    with sandbox.fork()[0] as clone:
        assert clone.files.read("data.txt") == "common"
        clone.files.write("data.txt", b"the clone's")
        assert clone.run_code("open('data.txt').read()").text == '"the clone\'s"'
        assert sandbox.files.read("data.txt") == "common"


def test_a_clone_is_a_session_of_its_own_and_says_whose_it_is(sandbox: Sandbox, daemon: Daemon) -> None:
    with sandbox.fork()[0] as clone:
        assert clone.display_id != sandbox.display_id
        assert clone.session_id != sandbox.session_id
        assert clone.info.forked_from == sandbox.display_id
        assert clone.info.workdir != sandbox.info.workdir == "/work"
        assert text(clone, "import os; os.getcwd()") == repr(clone.info.workdir)
        assert clone.expires_at == sandbox.expires_at, (
            "forks do not live longer in all than what they are forked from"
        )
        assert (clone.info.policy, clone.limits) == (sandbox.info.policy, sandbox.limits)
        of = {one.display_id: one.forked_from for one in Sandbox.list(None, daemon.address)}
        assert (of[clone.display_id], of[sandbox.display_id]) == (sandbox.display_id, "")


def test_an_absolute_path_below_work_fails_in_a_clone_where_landlock_is_there(sandbox: Sandbox) -> None:
    if not any(one.name == "landlock" and one.active for one in sandbox.protections):
        pytest.skip("this host has no Landlock")
    sandbox.run_code("open('/work/original', 'w').write('secret')")
    with sandbox.fork()[0] as clone:
        execution = clone.run_code("open('/work/original').read()")
        assert execution.error is not None
        assert execution.error.name == "PermissionError"


def test_clones_inherit_labels(daemon: Daemon) -> None:
    labels = {"tree": f"t-{os.getpid()}-{time.monotonic_ns()}"}
    with Sandbox("unscreened", daemon.address, labels=labels) as sandbox, sandbox.fork()[0]:
        assert len(Sandbox.list(labels, daemon.address)) == 2
    assert Sandbox.list(labels, daemon.address) == ()


def test_a_clone_is_forked_again_and_each_generation_is_its_own(sandbox: Sandbox) -> None:
    sandbox.run_code("path = ['0']")
    with contextlib.ExitStack() as stack:
        tips = [sandbox]
        for depth in range(3):
            children = [stack.enter_context(clone) for tip in tips[-1:] for clone in tip.fork(2)]
            for number, child in enumerate(children):
                child.run_code(f"path.append('{depth}{number}')")
            tips += children
        assert text(tips[-1], "path") == "['0', '01', '11', '21']"
        assert text(tips[-2], "path") == "['0', '01', '11', '20']"
        assert text(sandbox, "path") == "['0']"


def test_the_original_s_end_leaves_its_clones_alive(daemon: Daemon) -> None:
    sandbox = Sandbox("unscreened", daemon.address).open()
    sandbox.run_code("x = 5\nopen('file', 'w').write('kept')")
    (clone,) = sandbox.fork()
    sandbox.close()
    with clone:
        assert text(clone, "x, open('file').read()") == "(5, 'kept')"
        (again,) = clone.fork()
        with again:
            assert text(again, "x") == "5"


def test_a_clone_that_is_killed_takes_nobody_along(sandbox: Sandbox) -> None:
    sandbox.run_code("x = 1")
    with sandbox.fork()[0] as clone:
        died = clone.run_code("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        assert died.outcome in {Outcome.CRASHED, Outcome.KILLED}
        assert died.variables_lost
        assert text(sandbox, "x") == "1"


def test_the_end_of_a_tree_s_pid_1_ends_all_of_it_with_a_reason(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--allow-unscreened", "--pool-size", "0", "--pool-max", "0")
    sandbox = Sandbox("unscreened", daemon.address).open()
    clones = sandbox.fork(2)
    (supervisor,) = [process for process in family(daemon.process.pid) if process.role == "pid1"]
    os.kill(supervisor.pid, signal.SIGKILL)
    assert not settle(lambda: [] if stats(daemon).sessions == 0 else ["sessions"])
    for one in (sandbox, *clones):
        with pytest.raises(SessionLostError) as caught:
            one.run_code("1")
        assert "box was lost" in caught.value.message, caught.value
        one.close()


# ---- refusals -----------------------------------------------------------------------------------------------


def test_more_than_one_thread_is_refused_with_the_reason(sandbox: Sandbox) -> None:
    sandbox.run_code(
        "import threading\nover = threading.Event()\nthread = threading.Thread(target=over.wait)\nthread.start()"
    )
    for call, arguments in ((sandbox.fork, (1,)), (sandbox.checkpoint, ("a",))):
        error = refusal(call, *arguments)
        assert error.code == "FORK_REFUSED"
        assert "thread" in error.message
    sandbox.run_code("over.set(); thread.join()")
    with sandbox.fork()[0] as clone:
        assert text(clone, "1 + 1") == "2"


def test_all_or_none_by_the_policy_s_limit(sandbox: Sandbox, daemon: Daemon) -> None:
    before = stats(daemon).sessions
    most = sandbox.limits.forks
    assert most
    for count in (most + 1, 256):
        assert refusal(sandbox.fork, count).code == "FORK_LIMIT"
    assert stats(daemon).sessions == before
    with contextlib.ExitStack() as stack:
        for clone in sandbox.fork(most):
            stack.enter_context(clone)
        assert refusal(sandbox.fork).code == "FORK_LIMIT"
        assert refusal(sandbox.checkpoint, "one more").code == "INVALID_REQUEST"
        assert refusal(sandbox.checkpoint, "one-more").code == "FORK_LIMIT"
    with sandbox.fork()[0] as clone:
        assert clone.run_code("1").ok, "their places were given back"


def test_all_or_none_by_the_daemon_s_sessions(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--allow-unscreened", "--max-sessions", "3")
    with Sandbox("unscreened", daemon.address) as sandbox:
        error = refusal(sandbox.fork, 3)
        assert (error.code, type(error)) == ("QUOTA_SESSIONS", NotStartedError)
        assert stats(daemon).sessions == 1
        left, right = sandbox.fork(2)
        assert stats(daemon).sessions == 3
        left.close()
        right.close()
    assert stats(daemon).sessions == 0


@pytest.mark.parametrize("count", [0, 257, 2**31])
def test_a_number_of_clones_that_is_none_is_refused(sandbox: Sandbox, count: int) -> None:
    assert refusal(sandbox.fork, count).code == "INVALID_REQUEST"
    assert sandbox.run_code("1").ok


def test_the_memory_of_a_tree_is_reserved_once_until_its_last_session_ends(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--allow-unscreened", "--memory-total", "300MiB")
    wanted = Limits(memory_bytes=200 * MIB)
    sandbox = Sandbox("unscreened", daemon.address, limits=wanted).open()
    (clone,) = sandbox.fork()
    sandbox.close()
    other = Sandbox("unscreened", daemon.address, limits=wanted)
    assert refusal(other.open).code == "QUOTA_MEMORY", "the clone lives from it"
    clone.close()
    with other:
        assert other.run_code("1").ok


async def test_a_session_that_runs_is_not_forked_and_one_that_is_forked_does_not_run(daemon: Daemon) -> None:
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened", lease_seconds=1)
        await stream.execute("import time\ntime.sleep(1)")
        for request in (
            {"fork": pb.Fork(count=1)},
            {"checkpoint": pb.Checkpoint(name="a")},
            {"rollback": pb.Rollback(name="a")},
            {"drop_checkpoint": pb.DropCheckpoint(name="a")},
        ):
            number = await stream.send(**request)
            answer = await stream.event("refused")
            assert (answer.request_id, answer.refused.error.reason) == (number, "SESSION_BUSY")
        assert (await stream.event("result")).result.outcome == pb.OUTCOME_OK
        # Three requests in one breath: the first is done, the others find the session busy with it.
        first = await stream.send(fork=pb.Fork(count=1))
        second = await stream.send(fork=pb.Fork(count=1))
        third = await stream.send(execute=pb.Execute(execution_id=new_id(), code="1"))
        answers = {}
        while len(answers) < 3:
            event = await stream.read()
            assert event is not None
            answers[event.request_id] = event
        assert [answers[n].WhichOneof("event") for n in (first, second, third)] == [
            "forked",
            "refused",
            "refused",
        ]
        assert {answers[n].refused.error.reason for n in (second, third)} == {"SESSION_BUSY"}
        assert (await stream.run("2 + 2"))[-1].result.text == "4"
        await stream.send(close=pb.Close())
        await stream.event("closed")


async def test_only_the_stream_that_looks_on_may_fork(daemon: Daemon) -> None:
    async with connected(daemon.address) as wire:
        old = await wire.open(policy="unscreened")
        new = await wire.attach(old.opened.session_id)
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # it may have ended before
            await old.send(fork=pb.Fork(count=1))
            assert (await old.event("closed")).closed.reason == "attached elsewhere"
        assert (await new.run("1"))[-1].result.text == "1"
        listed = (await wire.sandbox.ListOwn(pb.ListOwnRequest())).sessions
        assert old.opened.display_id not in {one.forked_from for one in listed}
        await new.send(close=pb.Close())
        await new.event("closed")


async def test_a_fork_waits_for_an_upload_and_finds_the_whole_file(daemon: Daemon) -> None:
    data = b"x" * 100_000
    digest = hashlib.sha256(data).hexdigest()
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened")
        upload = wire.sandbox.Upload()
        start = pb.UploadStart(
            session_id=stream.opened.session_id, path="data", size_bytes=len(data), sha256=digest
        )
        await upload.write(pb.UploadRequest(start=start))
        await upload.write(pb.UploadRequest(chunk=data[:50_000]))
        await asyncio.sleep(0.2)
        await stream.send(fork=pb.Fork(count=1))
        answer = asyncio.ensure_future(stream.event("forked"))
        done, _ = await asyncio.wait({answer}, timeout=0.3)
        assert not done, "half a file is no state to fork from"
        await upload.write(pb.UploadRequest(chunk=data[50_000:]))
        await upload.done_writing()
        await upload
        clone = await wire.attach((await answer).forked.clones[0].session_id)
        assert (await clone.run("len(open('data').read())"))[-1].result.text == "100000"
        for one in (clone, stream):
            await one.send(close=pb.Close())
            await one.event("closed")


async def test_a_half_closed_stream_gets_its_clones(daemon: Daemon) -> None:
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened", lease_seconds=0.2)
        await stream.send(fork=pb.Fork(count=1))
        await stream.call.done_writing()
        assert len((await stream.event("forked")).forked.clones) == 1
        assert await stream.read() is None


async def test_a_client_that_goes_in_mid_fork_leaves_clones_that_end_with_their_leases(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon("--allow-unscreened", "--pool-size", "0", "--pool-max", "0")
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened", lease_seconds=0.5)
        await stream.send(fork=pb.Fork(count=5))
        await asyncio.sleep(0.01)
        stream.cut()
    until = time.monotonic() + WAIT_SECONDS
    while stats(daemon).sessions and time.monotonic() < until:
        await asyncio.sleep(0.1)
    assert stats(daemon).sessions == 0
    assert not settle(
        lambda: [one.role for one in family(daemon.process.pid) if one.role in {"pid1", "inmate"}]
    )


def test_a_draining_daemon_forks_nothing_more(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--allow-unscreened", "--drain-seconds", "20")
    with Sandbox("unscreened", daemon.address) as holder, Sandbox("unscreened", daemon.address) as sandbox:
        sandbox.checkpoint("before")
        begun = threading.Event()

        def hold() -> None:
            with contextlib.suppress(SandboxError):
                holder.run_code(
                    "print('go', flush=True)\nimport time\ntime.sleep(8)", on_stdout=lambda _: begun.set()
                )

        thread = threading.Thread(target=hold)
        thread.start()
        assert begun.wait(WAIT_SECONDS)
        daemon.process.send_signal(signal.SIGTERM)
        assert not settle(lambda: [] if _drains(sandbox) else ["no refusal"])
        sandbox.rollback("before")
        holder.interrupt()
        thread.join()


def _drains(sandbox: Sandbox) -> bool:
    try:
        for clone in sandbox.fork():
            clone.close()
    except SandboxError as error:
        return error.code == "DRAINING"
    return False


# ---- checkpoints --------------------------------------------------------------------------------------------


def test_a_checkpoint_brings_variables_and_files_back_and_stays(sandbox: Sandbox) -> None:
    sandbox.run_code("x = [1]\nopen('old', 'w').write('old')")
    kept = sandbox.checkpoint("start")
    assert (kept.name, sandbox.checkpoints) == ("start", (kept,))
    assert abs(kept.created_at_seconds - time.time()) < 60
    for _ in range(2):
        sandbox.run_code("import os\nx.append(2)\ny = 3\nos.rename('old', 'moved')\nopen('new', 'w').close()")
        sandbox.rollback("start")
        assert text(
            sandbox, "import os\nx, 'y' in globals(), sorted(os.listdir()), open('/work/old').read()"
        ) == ("([1], False, ['old'], 'old')")


def test_checkpoints_are_several_replaced_dropped_and_told_on_attach(
    sandbox: Sandbox, daemon: Daemon
) -> None:
    for number in range(3):
        sandbox.run_code(f"x = {number}")
        sandbox.checkpoint(f"c{number}")
    sandbox.rollback("c0")
    assert text(sandbox, "x") == "0"
    sandbox.rollback("c2")
    assert text(sandbox, "x") == "2", "what lies ahead stays too"
    sandbox.run_code("x = 'again'")
    sandbox.checkpoint("c0")
    sandbox.drop_checkpoint("c1")
    assert [one.name for one in sandbox.checkpoints] == ["c2", "c0"]
    error = refusal(sandbox.rollback, "c1")
    assert (error.code, type(error)) == ("CHECKPOINT_NOT_FOUND", RefusedError)
    assert error.remedy == "It has: c2, c0."
    assert refusal(sandbox.drop_checkpoint, "c1").code == "CHECKPOINT_NOT_FOUND"
    token = sandbox.session_id
    sandbox.detach()
    with Sandbox.attach(token, daemon.address) as again:
        assert [one.name for one in again.checkpoints] == ["c2", "c0"]
        again.rollback("c0")
        assert text(again, "x") == "'again'"


@pytest.mark.parametrize("name", ["", "a b", "@before", "../up", "x" * 65, "café", "a\x00"])
def test_a_name_outside_of_the_alphabet_is_refused_everywhere(sandbox: Sandbox, name: str) -> None:
    for call in (sandbox.checkpoint, sandbox.rollback, sandbox.drop_checkpoint):
        assert refusal(call, name).code == "INVALID_REQUEST"


@pytest.mark.parametrize(
    "killer",
    [
        "import os; os._exit(1)",
        "import signal, os; os.kill(os.getpid(), signal.SIGKILL)",
        "x = bytearray(1 << 40)",
        "while 1: pass",
    ],
)
def test_a_checkpoint_survives_the_loss_of_the_interpreter(sandbox: Sandbox, killer: str) -> None:
    sandbox.run_code("import signal\nx = 'kept'\nopen('file', 'w').write('kept')")
    sandbox.checkpoint("safe")
    blocked = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nopen('file', 'w').write('spoilt')\n"
    execution = sandbox.run_code(blocked + killer, timeout=1)
    assert not execution.ok
    sandbox.rollback("safe")
    after = sandbox.run_code("x, open('file').read()")
    assert after.text == "('kept', 'kept')"
    assert not after.variables_lost


def test_a_clone_has_no_checkpoints_of_its_original_s_and_takes_its_own(sandbox: Sandbox) -> None:
    sandbox.run_code("x = 0")
    sandbox.checkpoint("mine")
    with sandbox.fork()[0] as clone:
        assert clone.checkpoints == ()
        assert refusal(clone.rollback, "mine").code == "CHECKPOINT_NOT_FOUND"
        clone.run_code("x = 1")
        clone.checkpoint("mine")
        clone.run_code("x = 2")
        clone.rollback("mine")
        assert text(clone, "x") == "1"
    sandbox.rollback("mine")
    assert text(sandbox, "x") == "0"


# ---- what is written down, and the other client ---------------------------------------------------------------


def test_the_log_names_what_was_forked_kept_and_taken_back(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--allow-unscreened")
    with Sandbox("unscreened", daemon.address) as sandbox:
        session = sandbox.display_id
        clones = sandbox.fork(2)
        sandbox.checkpoint("a")
        sandbox.rollback("a")
        sandbox.drop_checkpoint("a")
        for clone in clones:
            clone.close()
        tokens = [one.session_id for one in (sandbox, *clones)]
    daemon.terminate()
    (forked,) = logged(daemon, "session_forked")
    assert (forked["session"], forked["clones"]) == (session, [clone.display_id for clone in clones])
    for kind in ("checkpointed", "rolled_back", "checkpoint_dropped"):
        (record,) = logged(daemon, kind)
        assert (record["session"], record["name"], record["uid"]) == (session, "a", os.geteuid())
    written = "".join(path.read_text() for path in (daemon.state_dir / "log").glob("log-*"))
    assert not [token for token in tokens if token in written or token in daemon.logged()]


async def test_the_asynchronous_client_forks_too(daemon: Daemon) -> None:
    async with await AsyncSandbox.create("unscreened", daemon.address) as sandbox:
        await sandbox.run_code("x = 1")
        await sandbox.checkpoint("one")
        clones = await sandbox.fork(3)
        texts = await asyncio.gather(*(clone.run_code(f"x += {n}; x") for n, clone in enumerate(clones)))
        assert [execution.text for execution in texts] == ["1", "2", "3"]
        await asyncio.gather(*(clone.close() for clone in clones))
        await sandbox.run_code("x = 9")
        await sandbox.rollback("one")
        assert (await sandbox.run_code("x")).text == "1"


def test_clones_run_at_the_same_time(sandbox: Sandbox) -> None:
    clones = sandbox.fork(2)
    together = "import time, os\nopen('/tmp/' + str({n}), 'w').close()\nwhile not os.path.exists('/tmp/' + str({m})): time.sleep(0.01)"
    results: list[Outcome] = []
    threads = [
        threading.Thread(
            target=lambda c=clone, n=n: results.append(
                c.run_code(together.format(n=n, m=1 - n), timeout=30).outcome
            )
        )
        for n, clone in enumerate(clones)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [Outcome.OK, Outcome.OK]
    for clone in clones:
        clone.close()


def test_a_clone_has_the_tools_of_its_original_and_each_calls_through_its_own_stream(daemon: Daemon) -> None:
    calls: list[str] = []

    def lookup(key: str) -> str:
        """Look a key up."""
        calls.append(key)
        return key.upper()

    with Sandbox("unscreened", daemon.address, tools=[lookup]) as sandbox:
        assert text(sandbox, "lookup('original')") == "'ORIGINAL'"
        sandbox.checkpoint("a")
        left, right = sandbox.fork(2)
        with left, right:
            results: list[str | None] = []
            code = "[lookup(name + str(n)) for n in range(5)][-1]"
            threads = [
                threading.Thread(
                    target=lambda c=clone, n=name: results.append(text(c, f"name = {n!r}; {code}"))
                )
                for name, clone in (("left", left), ("right", right))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(results) == ["'LEFT4'", "'RIGHT4'"]
        sandbox.rollback("a")
        assert text(sandbox, "lookup('after')") == "'AFTER'"
    assert len(calls) == 12


def test_a_call_that_failed_its_snippet_happened_although_the_snippet_is_taken_back(daemon: Daemon) -> None:
    """What a tool did outside is not undone: the result says which calls there were."""
    done: list[int] = []

    def act(n: int) -> int:
        """Do something that lasts."""
        done.append(n)
        return n

    with Sandbox("unscreened", daemon.address, tools=[act]) as sandbox:
        execution = sandbox.run_code("x = act(1) + act(2)\n1 / 0", on_error="rollback")
        assert execution.rolled_back
        assert [(use.tool, str(use.state)) for use in execution.tool_calls] == [("act", "finished")] * 2
        assert done == [1, 2]
        assert sandbox.run_code("'x' in globals()").text == "False"
        assert text(sandbox, "act(3)") == "3", "calls are numbered on"
