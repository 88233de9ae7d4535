"""The client against the real daemon: what a user of the library sees."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sandboxd_client import (
    AsyncSandbox,
    Decision,
    Limits,
    NotStartedError,
    Outcome,
    RefusedError,
    Sandbox,
    SessionLostError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Daemon

pytestmark = pytest.mark.userns


@pytest.fixture
def sandbox(daemon: Daemon) -> Iterator[Sandbox]:
    with Sandbox("unscreened", daemon.address) as sandbox:
        yield sandbox


def test_a_value_and_what_was_printed(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert (execution.text, execution.stdout, execution.stderr) == ("42", "out\n", "err\n")
    assert execution.outcome is Outcome.OK
    assert execution.usage.wall_seconds is not None
    assert execution.usage.sources["wall_seconds"]


def test_variables_stay_between_calls(sandbox: Sandbox) -> None:
    sandbox.run_code("x = 20")
    assert sandbox.run_code("x + 1").text == "21"


def test_a_failing_program_is_a_result(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("a = 1\nb = {}['key']")
    assert execution.outcome is Outcome.ERROR
    assert execution.error is not None
    assert (execution.error.name, execution.error.value, execution.error.line) == ("KeyError", "'key'", 2)
    assert "b = {}['key']" in execution.error.traceback


def test_output_is_told_while_the_program_runs(sandbox: Sandbox) -> None:
    arrived: list[float] = []
    code = "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.3)"
    execution = sandbox.run_code(code, on_stdout=lambda _: arrived.append(time.monotonic()))
    assert execution.stdout == "0\n1\n2\n"
    assert arrived[-1] - arrived[0] > 0.4


def test_a_deadline_is_an_outcome_and_is_kept(sandbox: Sandbox) -> None:
    began = time.monotonic()
    execution = sandbox.run_code("while True: pass", timeout=0.5)
    assert execution.outcome is Outcome.TIMEOUT_WALL
    assert time.monotonic() - began < 0.5 + 0.25 + 1
    assert sandbox.run_code("1").text == "1"


def test_output_over_the_limit_is_marked(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address, limits=Limits(output_bytes=10_000)) as sandbox:
        assert sandbox.limits.output_bytes == 10_000
        execution = sandbox.run_code("print('a' * 100_000)\nprint('THE END')")
    assert "bytes of output left out" in execution.stdout
    assert len(execution.stdout) < 12_000


def test_a_final_answer_comes_back_as_data(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("final_answer({'a': [1, 2]})")
    assert execution.final_answer is not None
    assert execution.final_answer.value == {"a": [1, 2]}


def test_displays_arrive_as_results(sandbox: Sandbox) -> None:
    code = "class P:\n    def _repr_png_(self): return b'\\x89PNG'\n    def _repr_html_(self): return '<b>p</b>'\nP()"
    shown: list[object] = []
    execution = sandbox.run_code(code, on_result=shown.append)
    assert shown == execution.results
    assert (execution.results[0].png, execution.results[0].html) == (b"\x89PNG", "<b>p</b>")


def test_files_go_in_and_come_out(sandbox: Sandbox) -> None:
    data = os.urandom(300_000)
    assert sandbox.files.write("in.bin", io.BytesIO(data)).size_bytes == len(data)
    code = "d = open('/work/in.bin', 'rb').read()\nopen('out.bin', 'wb').write(d[::-1])\nlen(d)"
    assert sandbox.run_code(code).text == "300000"
    assert sandbox.files.read("out.bin", format="bytes") == data[::-1]
    assert {file.name for file in sandbox.files.list()} >= {"in.bin", "out.bin"}
    assert sandbox.files.stat("/work/out.bin").kind == "file"
    sandbox.files.remove("out.bin")
    assert not sandbox.files.exists("out.bin")


@pytest.mark.parametrize("path", ["../etc/passwd", "/etc/passwd", "a/../../x", ""])
def test_no_path_leads_out(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(RefusedError):
        sandbox.files.read(path)


def test_check_gives_a_verdict_and_runs_nothing(daemon: Daemon) -> None:
    with Sandbox(address=daemon.address) as sandbox:
        verdict = sandbox.check("import socket")
        assert verdict.decision is Decision.DENY
        assert verdict.findings[0].line == 1
        assert sandbox.check("1 + 1").allowed
        execution = sandbox.run_code("import socket")
    assert (execution.outcome, execution.evidence.code) == (Outcome.DENIED, verdict.findings[0].rule)
    assert execution.verdict is not None
    assert not execution.verdict.allowed


def test_policy_info_tells_what_is_allowed(sandbox: Sandbox) -> None:
    info = sandbox.policy_info("default")
    assert info.name == "default"
    assert info.screened
    assert "math" in info.allowed_imports
    assert info.limits.wall_seconds
    assert not sandbox.policy_info().screened


def test_rules_are_explained_over_the_wire(sandbox: Sandbox) -> None:
    (page,) = sandbox.explain("SBX301")
    assert (page.rule, page.actions[:2]) == ("import-not-allowed", ("allow", "audit"))
    assert page.markdown.startswith("# SBX301 import-not-allowed\n")
    listed = sandbox.explain()
    assert [one.rule for one in listed if one.rule_id == "SBX901"] == ["screen-failed"]
    assert not any(one.markdown for one in listed)
    with pytest.raises(RefusedError) as caught:
        sandbox.explain("import-not-alowed")
    assert caught.value.code == "INVALID_REQUEST"
    assert "import-not-allowed" in caught.value.remedy


def test_protections_are_reported(sandbox: Sandbox) -> None:
    active = {protection.name for protection in sandbox.protections if protection.active}
    assert {"network_namespace", "seccomp", "no_new_privs"} <= active


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"policy": "no-such-policy"}, "POLICY_NOT_FOUND"),
        ({"limits": Limits(wall_seconds=1e6)}, "LIMIT_ABOVE_POLICY"),
    ],
)
def test_a_wish_the_policy_denies_is_refused(daemon: Daemon, options: dict[str, object], code: str) -> None:
    with pytest.raises((RefusedError, NotStartedError)) as caught:
        Sandbox(address=daemon.address, **options).open()  # type: ignore[arg-type]
    assert caught.value.code == code
    assert caught.value.remedy


def test_an_id_is_run_once_and_answered_twice(sandbox: Sandbox) -> None:
    code = "open('runs', 'a').write('x')\nprint('printed')"
    first = sandbox.run_code(code, execution_id="repeated-id")
    again = sandbox.run_code(code, execution_id="repeated-id")
    assert sandbox.files.read("runs") == "x"
    assert (first.text, first.stdout) == (again.text, again.stdout)
    with pytest.raises(NotStartedError, match="EXECUTION_ID_REUSED"):
        sandbox.run_code("other", execution_id="repeated-id")


def test_interrupt_from_another_thread(sandbox: Sandbox) -> None:
    threading.Timer(0.5, sandbox.interrupt).start()
    execution = sandbox.run_code("import time\ntime.sleep(20)", timeout=20)
    assert execution.outcome is Outcome.CANCELLED


def test_close_from_another_thread(daemon: Daemon) -> None:
    sandbox = Sandbox("unscreened", daemon.address).open()
    threading.Timer(0.5, sandbox.close).start()
    began = time.monotonic()
    try:
        outcome = sandbox.run_code("import time\ntime.sleep(20)", timeout=20).outcome
    except SessionLostError:
        outcome = Outcome.CANCELLED
    assert outcome in {Outcome.CANCELLED, Outcome.KILLED}
    assert time.monotonic() - began < 10
    sandbox.close()


def test_the_context_manager_ends_the_session(daemon: Daemon) -> None:
    with Sandbox("unscreened", daemon.address) as sandbox:
        session_id = sandbox.session_id
    late = Sandbox("unscreened", daemon.address).open()
    late._opened_session().opened.session_id = session_id
    with pytest.raises(SessionLostError):
        late.files.list()
    late.close()


async def test_create_opens(daemon: Daemon) -> None:
    sandbox = await AsyncSandbox.create("unscreened", daemon.address, lease_seconds=5)
    assert sandbox.info.lease_seconds == 5
    await sandbox.close()


async def test_many_asynchronous_sandboxes(daemon: Daemon) -> None:
    async def one(number: int) -> str | None:
        async with AsyncSandbox("unscreened", daemon.address) as sandbox:
            await sandbox.run_code(f"n = {number}")
            return (await sandbox.run_code("n * n")).text

    assert await asyncio.gather(*(one(number) for number in range(4))) == ["0", "1", "4", "9"]


async def test_a_cancelled_task_stops_the_program(daemon: Daemon) -> None:
    async with AsyncSandbox("unscreened", daemon.address) as sandbox:
        code = "import time\nfor i in range(200):\n    open('ticks', 'a').write('x')\n    time.sleep(0.05)"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await sandbox.run_code(code)
        before = (await sandbox.files.stat("ticks")).size_bytes
        await asyncio.sleep(0.3)
        assert (await sandbox.files.stat("ticks")).size_bytes == before
        assert (await sandbox.run_code("1")).text == "1"


CTRL_C = """
import sys
from sandboxd_client import Sandbox
with Sandbox("unscreened", sys.argv[1]) as sandbox:
    try:
        sandbox.run_code("print('up', flush=True)\\nimport time\\ntime.sleep(20)", on_stdout=lambda t: print(t, flush=True))
    except KeyboardInterrupt:
        print("after", sandbox.run_code("1 + 1").text, flush=True)
"""


def test_ctrl_c_interrupts_the_program_and_then_raises(daemon: Daemon) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CTRL_C, daemon.address], stdout=subprocess.PIPE, text=True, env=client_env()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert "after 2" in process.stdout.read()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5


def client_env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
