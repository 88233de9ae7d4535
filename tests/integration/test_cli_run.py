"""`sandboxd run` and `check` through a real daemon and a real jail: exit codes, streams, and a clean terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.userns

HOSTILE = r"""
import sys
print("\x1b]52;c;aGk=\x07\x1b[2Jvisible\r\x9b31m\u202eabc\u200b")
sys.stderr.write("\x1b]0;title\x07\n")
raise ValueError("\x1b[31mred")
"""


def sandboxd(*words: str, program: str = "") -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if key != "SANDBOXD_ADDRESS"}
    return subprocess.run(
        [sys.executable, "-m", "sandboxd", *words],
        input=program,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize(
    ("program", "words", "code", "out", "err"),
    [
        ("print('one')\n6 * 7", (), 0, "one\n42\n", ""),
        ("1 / 0", (), 1, "", "ZeroDivisionError"),
        ("import socket", (), 4, "", "import-not-allowed"),
        ("while True: pass", ("--timeout", "0.5"), 5, "", "timeout_wall"),
        ("1", ("--policy", "no-such"), 6, "", "POLICY_NOT_FOUND"),
        ("1", ("--policy", "unscreened"), 6, "", "POLICY_NOT_ALLOWED"),
        ("1", ("--address", "unix:/no/such/socket"), 6, "", "UNREACHABLE"),
    ],
)
def test_outcomes_have_exit_codes(
    program: str, words: tuple[str, ...], code: int, out: str, err: str
) -> None:
    answer = sandboxd("run", "-", *words, program=program)
    assert (answer.returncode, answer.stdout) == (code, out), answer.stderr
    assert err in answer.stderr
    assert 'File "/' not in answer.stderr  # a traceback of ours


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_hostile_output_is_written_out_in_pipes_too(words: tuple[str, ...]) -> None:
    answer = sandboxd("run", "-", *words, program=HOSTILE)
    assert answer.returncode == 1
    for text in (answer.stdout, answer.stderr):
        assert not set(text) & set("\x1b\x07\r\x9b\u202e\u200b")
    assert "visible" in answer.stdout


def test_hostile_output_never_reaches_a_terminal_raw() -> None:
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "sandboxd", "run", "-"],
        stdin=subprocess.PIPE,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    child.communicate(HOSTILE.encode(), timeout=100)
    shown = b""
    try:
        while piece := os.read(leader, 65536):
            shown += piece
    except OSError:  # EIO: the other end is closed, the kernel's end of file for a terminal
        pass
    os.close(leader)
    assert b"visible" in shown
    assert b"\\x1b]52" in shown
    for sequence in (b"\x1b]", b"\x1b[2J", b"\x1b[31m", b"\x07", b"\xc2\x9b", "\u202e".encode()):
        assert sequence not in shown


def test_json_holds_outcome_usage_and_verdict() -> None:
    answer = sandboxd("run", "-", "--json", program="final_answer({'a': 1})")
    told = json.loads(answer.stdout)
    assert told["outcome"] == "ok"
    assert json.loads(told["final_answer"]["json"]) == {"a": 1}
    assert told["verdict"]["decision"] == "allow"
    assert told["usage"]["wall_seconds"] > 0


def test_output_comes_while_the_program_runs(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import time\nprint('early', flush=True)\ntime.sleep(20)\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "sandboxd", "run", str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "early\n"
    assert child.poll() is None
    child.terminate()
    child.communicate(timeout=30)


def test_check_runs_nothing(tmp_path: Path) -> None:
    fine = sandboxd("check", "-", program="print('never')")
    assert (fine.returncode, fine.stdout) == (0, "1 program under policy default: 1 allowed\n")
    denied = sandboxd("check", "-", program="\nimport socket")
    assert denied.returncode == 4
    assert "-:2:8: error SBX301 import-not-allowed" in denied.stdout
    assert "\n    2 | import socket\n      |        ^^^^^^\n" in denied.stdout
    told = json.loads(sandboxd("check", "-", "--json", program="import socket").stdout)
    assert (told["exit_code"], told["files"][0]["decision"]) == (4, "deny")


def test_check_takes_many_files_over_one_connection(tmp_path: Path) -> None:
    programs = {
        "fine.py": "print(1)\n",
        "odd.py": "t.format(1)\n",
        "wrong.py": "x = = 1\n",
        "bad.py": "eval('1')\n",
    }
    for name, code in programs.items():
        (tmp_path / name).write_text(code)
    paths = [str(tmp_path / name) for name in programs]
    answer = sandboxd("check", *paths, "--policy", "data-science", "--format", "sarif")
    assert answer.returncode == 4
    (run,) = json.loads(answer.stdout)["runs"]
    assert [(one["ruleId"], one["level"]) for one in run["results"]] == [
        ("SBX206", "warning"),
        ("SBX401", "error"),
    ]
    assert [one["associatedRule"]["id"] for one in run["invocations"][0]["toolExecutionNotifications"]] == [
        "SBX001"
    ]
    assert len(run["artifacts"]) == 4
    text = sandboxd("check", *paths[:2], "--policy", "data-science")
    assert text.returncode == 0
    assert text.stdout.endswith("2 programs under policy data-science: 1 allowed, 1 warned, 1 warning\n")
    assert sandboxd("check", *paths[:2], "--policy", "data-science", "--strict").returncode == 4
    assert sandboxd("check", paths[0], str(tmp_path / "missing.py")).returncode == 2
