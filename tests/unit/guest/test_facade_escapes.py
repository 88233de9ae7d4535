"""Programs that would leave restricted code through a library's own doing, compiled for guards and run."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from sandboxd import restrict
from tests.unit.guest.facade_escapes import ESCAPES, MARKER

pytestmark = pytest.mark.hardens

ROOT = Path(__file__).parents[3]
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from sandboxd.guest.restricted import program
program.run_program(sys.stdin.buffer.read(), {})
"""


@pytest.mark.parametrize("name", ESCAPES)
def test_it_is_an_escape_in_plain_python(name: str) -> None:
    command = [sys.executable, "-I", "-c", ESCAPES[name]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert MARKER in done.stdout, done.stderr


@pytest.mark.parametrize("name", ESCAPES)
def test_it_is_none_in_restricted_code(name: str) -> None:
    source = ESCAPES[name]
    compiled = restrict.compile_program(source, ast.parse(source))
    if compiled.refusals:
        return
    command = [sys.executable, "-I", "-c", RUN, str(ROOT)]
    done = subprocess.run(command, input=compiled.program, capture_output=True, timeout=60, check=False)
    assert MARKER.encode() not in done.stdout, done.stdout
    assert b"sandboxd/guest" not in done.stdout
