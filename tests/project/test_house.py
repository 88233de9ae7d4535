"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
FILES = {
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60


def sources() -> list[Path]:
    found = [path for top in ("sandboxd", "client") for path in (TOP / top).rglob("*.py")]
    return sorted(path for path in found if "_sync" not in path.parts)


def test_the_top_level_files_are_there() -> None:
    assert {name for name in FILES if not (TOP / name).is_file()} == set()


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_documents_are_under_150_lines(name: str) -> None:
    assert len((TOP / name).read_text().splitlines()) < 150


def test_no_file_and_no_function_is_too_long() -> None:
    long = []
    for path in sources():
        text = path.read_text()
        if len(text.splitlines()) > MAX_FILE_LINES:
            long.append(str(path))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{path}:{node.lineno} {node.name}")
    assert long == []


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    assert [
        path for path in sources() if path.name in {"utils.py", "helpers.py", "misc.py", "common.py"}
    ] == []


def test_the_makefile_has_ten_targets_at_most_each_with_help() -> None:
    targets = re.findall(r"^([a-z]+):(.*)$", (TOP / "Makefile").read_text(), re.MULTILINE)
    assert 0 < len(targets) <= 10
    assert [name for name, rest in targets if "## " not in rest] == []
    said = subprocess.run(["make", "-C", str(TOP), "help"], capture_output=True, text=True, check=True).stdout
    assert [name for name, _ in targets if f"make {name} " not in said] == []


def test_ci_runs_what_people_run() -> None:
    script = TOP / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().rstrip().endswith("exec make test CI=1")


@pytest.mark.parametrize(
    "script", [".ci/run", "tests/check_machine.sh", "tests/run_as_user.sh", "tests/engine/install.sh"]
)
def test_scripts_parse_and_stop_at_errors(script: str) -> None:
    assert "set -euo pipefail" in (TOP / script).read_text()
    subprocess.run(["bash", "-n", str(TOP / script)], check=True)


def test_the_machine_check_names_what_is_missing(tmp_path: Path) -> None:
    old = tmp_path / "oldpython"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.1\nexit 1\n')
    old.chmod(0o755)
    check = str(TOP / "tests" / "check_machine.sh")
    for python, said in ((str(old), "Python 3.9.1"), ("no-such-python", "is not there")):
        answer = subprocess.run(
            [check],
            env={"PATH": "/usr/bin:/bin", "PYTHON": python},
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 1
        assert said in answer.stderr
    fine = subprocess.run([check], env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable}, check=False)
    assert fine.returncode == 0


def test_architecture_names_tests_that_exist() -> None:
    text = (TOP / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert named
    for file, test in named:
        assert (TOP / file).is_file(), file
        assert f"def {test}(" in (TOP / file).read_text() or not test, test


def test_architecture_maps_every_part() -> None:
    text = (TOP / "ARCHITECTURE.md").read_text()
    parts = {
        path.name
        for path in (TOP / "sandboxd").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    missing = {name for name in parts - {"__init__.py", "__main__.py"} if name not in text}
    assert missing == set()


def test_generated_protobuf_code_has_a_source() -> None:
    for path in (TOP / "protos").rglob("*_pb2*.py*"):
        if path.suffix in {".py", ".pyi"}:
            stem = path.name.partition("_pb2")[0]
            assert path.with_name(f"{stem}.proto").is_file(), path
