"""Through the real daemon: a text that kills, hangs or takes over its screener is denied, and its neighbours go on."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from typing import TYPE_CHECKING

import pytest
import traces
from mutants import Edit, make_mutant
from sandboxd_client import Outcome, Sandbox, SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemons import Daemon, StartDaemon

pytestmark = pytest.mark.userns

# Every family of operators that nests, far past what the parser, its stack or a policy takes; and the rules that may say so.
_TOO_MUCH = {"SBX003", "SBX006", "SBX007", "SBX008"}
DEEP = {
    "minus": ("-" * 8000 + "1", _TOO_MUCH),
    "not": ("not " * 1500 + "1", _TOO_MUCH),
    "invert": ("~" * 8000 + "1", _TOO_MUCH),
    "lambda": ("lambda:" * 1000 + "1", _TOO_MUCH),
    "power": ("1" + "**1" * 2000, _TOO_MUCH),
    "ternary": ("x if y else " * 600 + "z", _TOO_MUCH),
    "walrus": ("(a:=" * 150 + "1" + ")" * 150, _TOO_MUCH),
    "attributes": ("x" + ".a" * 4000, _TOO_MUCH),
    "sums": ("1" + "+x" * 4000, _TOO_MUCH),
    "calls": ("x" + "(0)" * 2500, _TOO_MUCH),
    "subscripts": ("x" + "[0]" * 2500, _TOO_MUCH),
    "elif": ("if x: pass\n" + "elif x: pass\n" * 3000, _TOO_MUCH),
    "decorators": ("@a\n" * 20_000 + "def f(): pass", _TOO_MUCH),
    "hex": ("x = 0x" + "f" * 8000, {"SBX501"}),
    "commas": ("(" + "0,0,0,\n" * 8_000 + ")", _TOO_MUCH),
    "names": ("a\n" * 30_000, _TOO_MUCH),
}
# What a screener that is no longer ours may do, each on a text that asks for it.
MISDEEDS = {
    "burns": "while True: pass",
    "hoards": "hoard = [bytearray(2**20) for _ in iter(int, 1)]",
    "dies": "os._exit(0)",
    "crashes": "__import__('ctypes').string_at(0)",
    "silent": "continue",
    "too-much": "answer['imports'] = ['a' * 100] * 10_000",
    "too-long-a-program": "answer['program'] = b'x' * 3_000_000",
    "a-program-of-a-denied-text": "answer.update(program=b'x', findings=[{**FINDING}])",
    "a-program-that-nobody-asked-for": "answer['program'] = b'x'",
    "twice": "word = _encode(answer).encode(); os.write(0, (_SIZES.pack(len(word), 0) + word) * 2)",
    "for-another-text": "answer['token'] = '0' * 16",
    "no-finding": "answer['findings'] = [{'rule': 'x'}]",
    "forged": "os.write(0, b'\\xff' * 100)",
    "half": "os.write(0, _SIZES.pack(100, 0) + b'{'); os._exit(0)",
    "deep": "os.write(0, _SIZES.pack(100_000, 0) + b'[' * 100_000)",
}
# Under a policy that restricts: the text itself would run, as a session's first snippet, before its guest knows of programs.
KEEPS_THE_PROGRAM = {"no-program": "answer['program'] = b''"}
_TOKEN = '        answer["token"] = head["token"]\n'


@pytest.fixture(scope="module")
def healthy(start_module_daemon: StartDaemon) -> Daemon:
    return start_module_daemon()


@pytest.fixture(scope="module")
def hijacked(start_module_daemon: StartDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """A daemon whose screener does on demand what one would that a text has taken over."""
    tree: Path = tmp_path_factory.mktemp("hijacked") / "tree"
    finding = "{'rule': 'x', 'rule_id': 'x', 'severity': 'error', 'message': '', 'hint': '', 'symbol': '', 'action': 'deny', "
    finding += "'line': 0, 'column': 0, 'end_line': 0, 'end_column': 0}"
    deeds = "".join(
        f"        if '#misdeed {name}' in source:\n            {code}\n"
        for name, code in (MISDEEDS | KEEPS_THE_PROGRAM).items()
    )
    edits = [
        Edit("screen/engine/worker.py", _TOKEN, _TOKEN + deeds.replace("{**FINDING}", finding)),
        Edit("screen/process.py", "self._settings.wall_seconds", "min(1.0, self._settings.wall_seconds)"),
    ]
    return start_module_daemon(tree=make_mutant(tree, edits))


@pytest.fixture
def neighbour(hijacked: Daemon) -> Iterator[Sandbox]:
    with Sandbox("default", hijacked.address) as sandbox:
        yield sandbox


def goes_on(sandbox: Sandbox, mark: str) -> bool:
    """Run a text that nobody screened yet."""
    execution = sandbox.run_code(f"print({mark!r})")
    return (execution.outcome, execution.stdout) == (Outcome.OK, f"{mark}\n")


def rules_of(sandbox: Sandbox, code: str) -> tuple[Outcome, set[str]]:
    execution = sandbox.run_code(code)
    assert execution.verdict is not None
    return execution.outcome, {finding.rule_id for finding in execution.verdict.findings}


@pytest.mark.parametrize("name", DEEP)
def test_a_text_that_nests_past_measure_is_denied_by_rule(healthy: Daemon, name: str) -> None:
    code, rules = DEEP[name]
    with Sandbox("default", healthy.address) as sandbox:
        outcome, found = rules_of(sandbox, code)
        assert outcome is Outcome.DENIED
        assert found <= rules, found
        assert found
        assert goes_on(sandbox, f"after {name}")


@pytest.mark.parametrize(
    "code",
    ["return 1", "for x in y:\n    nonlocal a", "def f(): await x", "break", "x = 1\ndef f(a, a): pass"],
)
def test_an_error_that_only_the_compiler_finds_is_the_programs_own(healthy: Daemon, code: str) -> None:
    """Found where it runs, so that no text is compiled twice; and by a check alone."""
    with Sandbox("default", healthy.address) as sandbox:
        execution = sandbox.run_code(code)
        assert (execution.outcome, execution.error and execution.error.name) == (Outcome.ERROR, "SyntaxError")
        checked = sandbox.check(code)
        assert [finding.rule for finding in checked.findings] == ["syntax-error"]
        assert checked.findings[0].line == execution.error.line


def test_base_and_the_daemon_share_one_interpreter(healthy: Daemon) -> None:
    with Sandbox("default", healthy.address) as sandbox:
        assert goes_on(sandbox, "one interpreter")
    assert len(screeners(healthy)) == 1


@pytest.mark.parametrize("name", MISDEEDS)
def test_a_hijacked_screener_is_a_denial_and_its_own_end(
    hijacked: Daemon, neighbour: Sandbox, name: str
) -> None:
    with Sandbox("default", hijacked.address) as sandbox:
        assert rules_of(sandbox, f"print('ran') #misdeed {name}") == (Outcome.DENIED, {"SBX901"})
        assert goes_on(sandbox, f"after {name}")
    assert goes_on(neighbour, f"beside {name}")
    assert hijacked.process.poll() is None


def test_no_text_runs_in_place_of_its_program(hijacked: Daemon) -> None:
    with Sandbox("pure", hijacked.address) as sandbox:
        assert rules_of(sandbox, "print('ran') #misdeed no-program") == (Outcome.DENIED, {"SBX901"})
        assert goes_on(sandbox, "after no-program")


def test_a_text_that_burns_holds_no_neighbour(hijacked: Daemon, neighbour: Sandbox) -> None:
    with Sandbox("default", hijacked.address) as sandbox:
        ended: list[Outcome] = []
        burning = threading.Thread(
            target=lambda: ended.append(sandbox.run_code("1 #misdeed burns, held").outcome)
        )
        burning.start()
        while not any(screener.state == "R" for screener in screeners(hijacked)):
            assert burning.is_alive()
        assert goes_on(neighbour, "while it burns")
        assert not ended, "the neighbour waited for the burner's end"
        burning.join()
    assert ended == [Outcome.DENIED]


def test_kill_9_in_the_middle_is_a_denial(hijacked: Daemon, neighbour: Sandbox) -> None:
    with Sandbox("default", hijacked.address) as sandbox:
        found: list[object] = []
        burning = threading.Thread(
            target=lambda: found.append(rules_of(sandbox, "1 #misdeed burns, to be killed"))
        )
        burning.start()
        while not (running := [one for one in screeners(hijacked) if one.state == "R"]):
            assert burning.is_alive()
        for screener in running:
            os.kill(screener.pid, signal.SIGKILL)
        burning.join()
        assert found == [(Outcome.DENIED, {"SBX901"})]
    assert goes_on(neighbour, "after the kill")


def test_a_screener_ends_with_its_daemon(start_daemon: StartDaemon, tmp_path: Path) -> None:
    """Also while it burns, when it reads no end of its socket: the kernel kills it with its parent."""
    edit = Edit("screen/engine/worker.py", _TOKEN, f"{_TOKEN}        while '#burn' in source: pass\n")
    daemon = start_daemon(tree=make_mutant(tmp_path / "tree", [edit]))
    with Sandbox("default", daemon.address) as sandbox:
        burning = threading.Thread(target=_swallow, args=(sandbox, "1 #burn"))
        burning.start()
        while not (running := [one for one in screeners(daemon) if one.state == "R"]):
            assert burning.is_alive()
        pidfd = os.pidfd_open(running[0].pid)
        daemon.kill()
        assert select.select([pidfd], [], [], 1)[0], "its CPU budget would end it in two seconds"
        os.close(pidfd)
        burning.join()


def _swallow(sandbox: Sandbox, code: str) -> None:
    with contextlib.suppress(SandboxError):
        sandbox.run_code(code)


def test_what_could_not_be_screened_may_be_tried_again(hijacked: Daemon) -> None:
    """The denial of a text is no verdict on it: the screener may have been killed for another's sake."""
    with Sandbox("default", hijacked.address) as sandbox:
        code = "print('again') #misdeed dies"
        assert rules_of(sandbox, code) == (Outcome.DENIED, {"SBX901"})
        assert rules_of(sandbox, code) == (Outcome.DENIED, {"SBX901"})
        assert goes_on(sandbox, "twice denied")
        assert rules_of(sandbox, code) == (Outcome.DENIED, {"SBX901"})


def screeners(daemon: Daemon) -> list[traces.Process]:
    return [process for process in traces.family(daemon.process.pid) if process.role == "screener"]
