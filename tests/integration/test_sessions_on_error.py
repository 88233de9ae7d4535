"""What a failing snippet leaves: nothing, where it is asked to; and what a lost interpreter comes back as, by policy."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sandboxd_client import AsyncSandbox, Limits, NotStartedError, Outcome, Sandbox, SandboxError
from sandboxd_proto.v1 import sandbox_pb2 as pb
from traces import family, look, settle
from wire_client import connected, new_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons import Daemon, StartDaemon

pytestmark = pytest.mark.userns

PER_SNIPPET = """
apiVersion: sandboxd/v1
kind: Policy
metadata: {name: careful, revision: 1, description: Keeps a clone from before each snippet.}
extends: unscreened
session: {checkpoint: per_snippet}
limits: {wall: 20s, grace: 500ms, memory: {max: 300MiB}}
"""

PREPARE = """
import os, signal
x = {"list": [1, 2]}
os.mkdir("sub")
for name in ("changed", "deleted", "renamed", "sub/deep"):
    with open(name, "w") as file:
        file.write(name)
os.symlink("changed", "link")
os.chmod("renamed", 0o640)
"""

MESS = """
x["list"].append(3)
del PREPARED
y = "new"
os.mkdir("made")
open("created", "w").write("created")
open("changed", "a").write(" and more")
os.unlink("deleted")
os.rename("renamed", "elsewhere")
os.unlink("link")
os.rename("sub", "sub2")
os.chdir("made")
"""

SEEN = """
def seen():
    found = []
    for root, directories, files in os.walk("/work"):
        for name in sorted(directories + files):
            path = os.path.join(root, name)
            data = open(path).read() if os.path.isfile(path) else ""
            found.append((path, oct(os.lstat(path).st_mode), os.path.islink(path) and os.readlink(path), data))
    return sorted(found), x, "PREPARED" in globals(), "y" in globals(), os.getcwd()
PREPARED = True
"""

ENDS = {
    "raises": ("1 / 0", Outcome.ERROR),
    "exits": ("import sys; sys.exit(3)", Outcome.ERROR),
    "dies": ("os._exit(3)", Outcome.ERROR),
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", Outcome.CRASHED),
    "runs on": ("while True: pass", Outcome.TIMEOUT_WALL),
    "runs on and holds the signals": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nwhile True: pass",
        Outcome.TIMEOUT_WALL,
    ),
    "eats the memory": ("hog = []\nwhile True: hog.append(bytearray(1 << 24))", None),
}


@pytest.fixture
def sandbox(daemon: Daemon) -> Iterator[Sandbox]:
    with Sandbox("unscreened", daemon.address, limits=Limits(memory_bytes=400 << 20)) as sandbox:
        assert sandbox.run_code(PREPARE + SEEN).ok
        yield sandbox


@pytest.fixture(scope="module")
def careful(start_module_daemon: StartDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """A daemon with a policy that keeps a clone from before each snippet."""
    directory: Path = tmp_path_factory.mktemp("policies")
    (directory / "careful.yaml").write_text(PER_SNIPPET)
    directory.chmod(0o755)
    daemon = start_module_daemon("--allow-unscreened", "--policy-dir", str(directory))
    assert not daemon.error, daemon.error
    return daemon


@pytest.mark.parametrize("end", ENDS)
def test_a_failing_snippet_leaves_no_trace_in_variables_and_files(sandbox: Sandbox, end: str) -> None:
    before = sandbox.run_code("seen()").text
    code, outcome = ENDS[end]
    execution = sandbox.run_code(MESS + code, timeout=2, on_error="rollback")
    assert execution.outcome is (outcome or execution.outcome)
    assert not execution.ok
    assert execution.rolled_back, execution
    assert not execution.variables_lost
    after = sandbox.run_code("seen()")
    assert after.text == before
    assert not after.variables_lost
    assert sandbox.checkpoints == ()


def test_without_it_the_traces_stay(sandbox: Sandbox) -> None:
    before = sandbox.run_code("seen()").text
    execution = sandbox.run_code(MESS + "1 / 0")
    assert (execution.outcome, execution.rolled_back) == (Outcome.ERROR, False)
    assert sandbox.run_code("seen()").text != before


def test_a_snippet_that_goes_well_keeps_what_it_did(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("x['list'].append(3)\nopen('created', 'w').close()", on_error="rollback")
    assert (execution.outcome, execution.rolled_back) == (Outcome.OK, False)
    assert sandbox.run_code("x['list'], os.path.exists('created')").text == "([1, 2, 3], True)"


def test_a_cancelled_snippet_is_taken_back(sandbox: Sandbox) -> None:
    execution = sandbox.run_code(
        "x = 'gone'\nprint('go', flush=True)\nimport time\ntime.sleep(30)",
        on_error="rollback",
        on_stdout=lambda _: sandbox.interrupt() and None,
    )
    assert (execution.outcome, execution.rolled_back) == (Outcome.CANCELLED, True)
    assert sandbox.run_code("x").text == "{'list': [1, 2]}"


def test_what_was_never_run_was_never_rolled_back(daemon: Daemon) -> None:
    with Sandbox("default", daemon.address) as sandbox:
        sandbox.run_code("x = 1")
        for code, outcome in (("import socket", Outcome.DENIED), ("x = (", Outcome.ERROR)):
            execution = sandbox.run_code(code, on_error="rollback")
            assert (execution.outcome, execution.rolled_back) == (outcome, False)
        assert sandbox.run_code("x").text == "1"


@pytest.mark.parametrize("policy", ["default", "pure"])
def test_screened_and_restricted_sessions_are_taken_back_too(daemon: Daemon, policy: str) -> None:
    with Sandbox(policy, daemon.address) as sandbox:
        sandbox.run_code("x = [1]\ndef f(): return len(x)")
        assert sandbox.run_code("x.append(2)\ndef f(): return -1\n1 / 0", on_error="rollback").rolled_back
        assert sandbox.run_code("x, f()").text == "([1], 1)"
        sandbox.checkpoint("a")
        sandbox.run_code("x.clear()")
        with sandbox.fork()[0] as clone:
            assert clone.run_code("x").text == "[]"
        sandbox.rollback("a")
        assert sandbox.run_code("x").text == "[1]"


def test_many_in_a_row_leave_no_clones_and_no_checkpoints_behind(sandbox: Sandbox) -> None:
    """More than the policy's `forks`: each one lets its checkpoint go."""
    for number in range(sandbox.limits.forks + 4):  # type: ignore[operator]
        assert sandbox.run_code(f"x = {number}\n1 / ({number} % 2)", on_error="rollback").rolled_back is (
            number % 2 == 0
        )
    assert sandbox.run_code("x").text == str((sandbox.limits.forks + 4) // 2 * 2 - 1)  # type: ignore[operator]


def test_with_threads_it_does_not_start_and_says_why(sandbox: Sandbox) -> None:
    sandbox.run_code(
        "import threading\nover = threading.Event()\nt = threading.Thread(target=over.wait)\nt.start()"
    )
    with pytest.raises(NotStartedError) as caught:
        sandbox.run_code("open('ran', 'w').close()", on_error="rollback", execution_id="never-started-1")
    assert caught.value.code == "FORK_REFUSED"
    assert "thread" in caught.value.message
    assert sandbox.run_code("over.set(); t.join(); os.path.exists('ran')").text == "False"
    again = sandbox.run_code("open('ran', 'w').close()", on_error="rollback", execution_id="never-started-1")
    assert again.ok, "nothing of it was recorded: its id is free"


def test_a_snippet_that_destroys_its_checkpoint_is_never_said_to_be_rolled_back(sandbox: Sandbox) -> None:
    """It shares a pid namespace with it: one trust domain."""
    execution = sandbox.run_code(
        "import contextlib\n"
        "for pid in range(2, 200):\n"
        "    if pid != os.getpid():\n"
        "        with contextlib.suppress(OSError):\n"
        "            os.kill(pid, signal.SIGKILL)\n"
        "1 / 0",
        on_error="rollback",
    )
    assert (execution.outcome, execution.rolled_back) == (Outcome.ERROR, False)
    assert "not rolled back" in execution.evidence.detail
    after = sandbox.run_code("x")
    # Where the checkpoint died only while it was asked, the interpreter had been ended for it already.
    assert execution.variables_lost or after.text == "{'list': [1, 2]}"


async def test_a_repeated_id_is_answered_and_not_rolled_back_again(daemon: Daemon) -> None:
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened")
        wanted = pb.Execute(execution_id=new_id(), code="x = 1\n1 / 0", on_error=pb.ON_ERROR_ROLLBACK)
        await stream.run("x = 0")
        for _ in range(2):
            await stream.send(execute=wanted)
            result = (await stream.until_last())[-1].result
            assert (result.outcome, result.rolled_back) == (pb.OUTCOME_ERROR, True)
        record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=wanted.execution_id))
        assert record.result.rolled_back
        await stream.run("y = 5")
        await stream.send(execute=wanted)  # from the log now: its events are gone
        result = (await stream.until_last())[-1].result
        assert (result.outcome, result.rolled_back) == (pb.OUTCOME_ERROR, True)
        assert (await stream.run("x, y"))[-1].result.text == "(0, 5)"
        await stream.send(close=pb.Close())
        await stream.event("closed")


async def test_the_asynchronous_client_takes_back_too(daemon: Daemon) -> None:
    async with await AsyncSandbox.create("unscreened", daemon.address) as sandbox:
        await sandbox.run_code("x = 1")
        assert (await sandbox.run_code("x = 2; 1 / 0", on_error="rollback")).rolled_back
        assert (await sandbox.run_code("x")).text == "1"


def test_a_word_that_is_neither_is_refused_before_anything_is_sent(sandbox: Sandbox) -> None:
    wanted: Any = "undo"
    with pytest.raises(ValueError, match="on_error"):
        sandbox.run_code("1", on_error=wanted)


# ---- the policy's checkpoint for each snippet -----------------------------------------------------------------


@pytest.mark.parametrize("end", [name for name in ENDS if name not in {"raises", "exits", "runs on"}])
def test_a_lost_interpreter_comes_back_as_it_was_before_the_snippet(careful: Daemon, end: str) -> None:
    with Sandbox("careful", careful.address) as sandbox:
        assert sandbox.run_code(PREPARE + SEEN).ok
        before = sandbox.run_code("seen()").text
        named = f"the-one-that-{end.replace(' ', '-')}"
        execution = sandbox.run_code(MESS + ENDS[end][0], timeout=2, execution_id=named)
        assert not execution.ok
        if end != "eats the memory":  # which may be a MemoryError: then nothing was lost
            assert execution.restored_from == f"before:{named}"
        assert not execution.variables_lost
        assert not execution.rolled_back
        if execution.restored_from:
            after = sandbox.run_code("seen()")
            assert (after.text, after.variables_lost, after.restored_from) == (before, False, "")


def test_an_interpreter_that_dies_between_two_snippets_comes_back_and_the_next_result_says_as_of_when(
    careful: Daemon,
) -> None:
    with Sandbox("careful", careful.address) as sandbox:
        sandbox.run_code("import os\nx = 1")
        inside = sandbox.run_code("x = 2\nos.getpid()", execution_id="the-last-before-it-died").text
        inmates = [one.pid for one in family(careful.process.pid) if one.role == "inmate"]
        (guest,) = (pid for pid in inmates if number_inside(pid) == inside)
        os.kill(guest, signal.SIGKILL)
        assert not settle(lambda: [guest for process in [look(guest)] if process is not None])
        execution = sandbox.run_code("x")
        assert (execution.text, execution.restored_from) == ("1", "before:the-last-before-it-died")
        assert not execution.variables_lost
        assert sandbox.run_code("x").restored_from == ""


def number_inside(pid: int) -> str:
    """Return a process's pid in its own namespace; "" for one of ours."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        numbers = next(line for line in lines if line.startswith("NSpid:")).split()[1:]
        return numbers[-1] if len(numbers) > 1 else ""
    return ""


def test_under_the_policy_a_failing_program_keeps_its_traces(careful: Daemon) -> None:
    with Sandbox("careful", careful.address) as sandbox:
        sandbox.run_code("x = 1")
        execution = sandbox.run_code("x = 2; 1 / 0")
        assert (execution.outcome, execution.restored_from) == (Outcome.ERROR, "")
        assert sandbox.run_code("x").text == "2"


def test_the_policy_s_checkpoint_is_no_client_s(careful: Daemon) -> None:
    with Sandbox("careful", careful.address) as sandbox:
        sandbox.run_code("x = 1")
        sandbox.checkpoint("mine")
        sandbox.run_code("x = 2")
        assert [one.name for one in sandbox.checkpoints] == ["mine"]
        token = sandbox.session_id
        sandbox.detach()
        with Sandbox.attach(token, careful.address) as again:
            assert [one.name for one in again.checkpoints] == ["mine"]
            with pytest.raises(SandboxError) as caught:
                again.rollback("@before")
            assert caught.value.code == "INVALID_REQUEST"


def test_both_at_once_roll_back_and_restore(careful: Daemon) -> None:
    with Sandbox("careful", careful.address) as sandbox:
        sandbox.run_code("import os\nx = 1")
        execution = sandbox.run_code("x = 2\nos._exit(1)", on_error="rollback", execution_id="both-at-once")
        assert (execution.rolled_back, execution.restored_from) == (True, "before:both-at-once")
        assert sandbox.run_code("x").text == "1"


def test_where_threads_forbid_a_checkpoint_the_loss_is_told(careful: Daemon) -> None:
    with Sandbox("careful", careful.address) as sandbox:
        sandbox.run_code(
            "import os, threading\nover = threading.Event()\nthreading.Thread(target=over.wait).start()"
        )
        execution = sandbox.run_code("os._exit(1)")
        assert (execution.outcome, execution.restored_from) == (Outcome.ERROR, "")
        assert execution.variables_lost
        assert "not restored: FORK_REFUSED" in execution.evidence.detail
        assert sandbox.run_code("1 + 1").text == "2", "the next interpreter has one thread"


def test_what_was_restored_stands_in_the_log(careful: Daemon) -> None:
    with Sandbox("careful", careful.address) as sandbox:
        sandbox.run_code("import os; os._exit(1)", execution_id="restored-and-logged")
    lines = [
        line for path in (careful.state_dir / "log").glob("log-*") for line in path.read_text().splitlines()
    ]
    of = [record for record in map(json.loads, lines) if record.get("execution_id") == "restored-and-logged"]
    kinds = [record["kind"] for record in of]
    assert sorted(kinds) == ["execution_intent", "execution_outcome", "rolled_back"]
    outcome = next(record for record in of if record["kind"] == "execution_outcome")
    assert (outcome["restored_from"], outcome["variables_lost"]) == ("before:restored-and-logged", False)
