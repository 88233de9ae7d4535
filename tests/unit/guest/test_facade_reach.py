"""What facades offer on each Python, as golden lists, and that nothing in them leads out of restricted code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.guest.test_guest_interpreters import INTERPRETERS

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).with_name("golden")
MODERN = {version: path for version, path in INTERPRETERS.items() if int(version.partition(".")[2]) >= 11}


@pytest.fixture(scope="module", params=sorted(MODERN))
def walked(request: pytest.FixtureRequest) -> tuple[str, Any]:
    script = Path(__file__).with_name("facade_script.py")
    # A member that is deprecated must not be touched: a warning here is an error.
    command = [MODERN[request.param], "-I", "-W", "error", str(script), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    return request.param, json.loads(done.stdout)


def test_members_are_the_golden_ones(walked: tuple[str, Any], request: pytest.FixtureRequest) -> None:
    version, report = walked
    golden = GOLDEN / f"facades-{version}.txt"
    text = "".join(f"{name}: {' '.join(members)}\n" for name, members in report["members"].items())
    if request.config.getoption("--update-golden"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text)
    if not golden.exists():
        pytest.skip(f"nobody has reviewed the members on {version} yet: --update-golden, and read them")
    assert golden.read_text() == text, "run with --update-golden, and review each new member"


def test_nothing_leads_out(walked: tuple[str, Any]) -> None:
    _, report = walked
    assert report["found"] == []


def test_the_walk_finds_what_a_raw_module_leads_to(walked: tuple[str, Any]) -> None:
    _, report = walked
    assert "statistics['sys']" in report["control"]


@pytest.mark.parametrize("version", sorted(MODERN))
def test_nothing_is_imported_when_a_member_is_called(version: str) -> None:
    script = Path(__file__).with_name("facade_late_script.py")
    command = [MODERN[version], "-I", "-S", str(script), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    assert done.stdout == ""


@pytest.mark.parametrize("version", sorted(MODERN))
def test_no_call_gives_what_leads_out(version: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("facade_call_script.py")
    command = [MODERN[version], "-I", str(script), str(ROOT)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
