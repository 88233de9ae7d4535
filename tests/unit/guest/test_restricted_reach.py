"""Nothing that a restricted program can name leads to a module, a frame, code, a metaclass, or the guards' own state."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import RestrictedPython

from tests.unit.guest.test_guest_interpreters import INTERPRETERS

MODERN = {version: path for version, path in INTERPRETERS.items() if int(version.partition(".")[2]) >= 11}
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("version", sorted(MODERN))
def test_nothing_leads_out_of_a_program_and_what_it_can_make(version: str) -> None:
    script = Path(__file__).with_name("restricted_walk.py")
    packages = Path(RestrictedPython.__file__).parents[1]
    command = [MODERN[version], "-I", str(script), str(ROOT), str(packages)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    report = json.loads(done.stdout)
    assert report["found"] == []
    assert 5000 < report["seen"] < 60_000, "the walk ended early, or was cut"
    assert "own.method.__code__" in report["control"]
