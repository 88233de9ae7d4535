from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sandboxd_client.errors import DaemonStartError, RefusedError

from sandboxd.cli import command_line
from sandboxd.cli.command_line import COMMANDS, build_parser, main
from sandboxd.cli.source import read_program
from sandboxd.errors import Code, SandboxdError, StartError

if TYPE_CHECKING:
    from pathlib import Path


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert all(f"    {name} " in said for name in COMMANDS)
    assert "exit codes: 0 ok" in said


def test_help_imports_no_heavy_module() -> None:
    program = (
        "import sys\nfrom sandboxd.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'grpc', 'pydantic', 'rich', 'yaml', 'google', 'httpx'} & set(sys.modules)\nsys.exit(bool(heavy))"
    )
    for words in (
        ["--help"],
        ["run", "--help"],
        ["agent", "--help"],
        ["check", "--help"],
        ["explain", "--help"],
        ["env", "create", "--help"],
        ["doctor", "--help"],
    ):
        answer = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, check=False)
        assert answer.returncode == 0, words


@pytest.mark.parametrize("words", [[], ["nonsense"], ["run"], ["env"], ["run", "--nonsense", "x"], ["audit"]])
def test_wrong_usage_is_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2


def test_flags_are_not_abbreviated() -> None:
    with pytest.raises(SystemExit):
        build_parser("run").parse_args(["run", "x", "--pol", "y"])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            StartError(Code.STATE_LOCKED, "Another daemon.", remedy="Stop it."),
            3,
            "STATE_LOCKED: Another daemon.\n  Stop it.",
        ),
        (SandboxdError(Code.INVALID_REQUEST, "No."), 2, "INVALID_REQUEST: No."),
        (SandboxdError(Code.ENVIRONMENT_FAILED, "No\x1b[2J."), 6, "ENVIRONMENT_FAILED: No\\x1b[2J."),
        (PermissionError(13, "Permission denied", "/x"), 6, "FILE_FAILED: /x: Permission denied."),
        (ModuleNotFoundError("No module named 'x'", name="x"), 6, "NOT_INSTALLED: This command needs x."),
        (RuntimeError("odd"), 6, "INTERNAL: RuntimeError: odd"),
        (
            ExceptionGroup("", [ExceptionGroup("", [RuntimeError("inner")])]),
            6,
            "INTERNAL: RuntimeError: inner",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_failure_is_told_in_one_form(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(command_line, "_dispatch", fail)
    assert main(["run"]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_the_clients_errors_are_told_the_same_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, code in (
        (DaemonStartError("USERNS_BLOCKED", "No."), 3),
        (RefusedError("POLICY_NOT_FOUND", "No."), 6),
    ):

        def fail(_: object, error: Exception = error) -> int:
            raise error

        monkeypatch.setattr(command_line, "_dispatch", fail)
        assert main(["run"]) == code
        assert f"sandboxd: {error.code}: No." in capsys.readouterr().err


def test_run_reads_no_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "/no/such/program.py"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_run_refuses_what_is_not_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "program.py"
    path.write_bytes(b"\xff\xfe")
    assert main(["run", str(path)]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_agent_needs_a_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SANDBOXD_MODEL_BASE_URL", raising=False)
    assert main(["agent", "why?", "--model", "m"]) == 2
    assert "--base-url" in capsys.readouterr().err


def test_env_list_is_json_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "list", "--json", "--environments-dir", str(tmp_path)]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["base"]


def test_timeouts_are_numbers_above_zero() -> None:
    parser = build_parser("run")
    assert parser.parse_args(["run", "x", "--timeout", "2.5"]).timeout == 2.5
    for wrong in ("0", "-1", "inf", "nan", "soon"):
        with pytest.raises(SystemExit):
            parser.parse_args(["run", "x", "--timeout", wrong])


def test_every_command_configures_its_parser() -> None:
    for name in COMMANDS:
        assert isinstance(build_parser(name), argparse.ArgumentParser)


def test_a_byte_order_mark_is_no_part_of_the_program(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_bytes(b"\xef\xbb\xbfprint(1)\xef\xbb\xbf\n")
    assert read_program(str(path)) == "print(1)\ufeff\n", "only the first"
