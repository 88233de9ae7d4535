"""What escapes without a sandbox prints its marker without one: else "stopped" would prove nothing.

In a throw-away (`throwaway.py`), never loose on the machine.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from attack import MARKER, cell, own, sample
from daemons import SOURCES

pytestmark = [pytest.mark.userns, pytest.mark.timeout(180)]

ESCAPES = [one for one in (*own(), *sample()) if one.unsandboxed == "escapes"]
# Only where the host has what they abuse: see each.
NEEDS = {
    "AST-062": "Python 3.12", "AST-063": "Python 3.12",
    "AST-136": "numpy", "AST-138": "numpy", "AST-139": "numpy", "AST-141": "pandas", "AST-142": "pandas",
    "AST-148": "matplotlib",
    "JAIL-001": "root",  # reads what root alone may read
    "JAIL-022": "TIOCSTI",  # the kernel may forbid it to all but CAP_SYS_ADMIN
}  # fmt: skip


def available(need: str) -> bool:
    if need == "root":
        return os.geteuid() == 0
    if need == "Python 3.12":
        return sys.version_info >= (3, 12)
    if need == "TIOCSTI":
        setting = Path("/proc/sys/dev/tty/legacy_tiocsti")
        return not setting.exists() or setting.read_text().strip() == "1"
    return importlib.util.find_spec(need) is not None


def test_what_escapes_without_a_sandbox_does() -> None:
    tasks = [one for one in ESCAPES if one.name not in NEEDS or available(NEEDS[one.name])]
    lines = "".join(json.dumps({"name": one.name, "code": cell(one, one.code)}) + "\n" for one in tasks)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("throwaway.py"))],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*SOURCES, *filter(None, sys.path)])},
    )
    assert done.returncode == 0, done.stderr
    outputs = {one["name"]: one["output"] for one in map(json.loads, done.stdout.splitlines())}
    assert outputs.keys() == {one.name for one in tasks}
    silent = {name: output[-300:] for name, output in outputs.items() if MARKER not in output}
    assert silent == {}


def test_only_what_needs_something_special_may_be_left_out() -> None:
    assert NEEDS.keys() <= {one.name for one in ESCAPES}
    left_out = [name for name, need in NEEDS.items() if not available(need)]
    assert len(left_out) < len(ESCAPES) / 10
