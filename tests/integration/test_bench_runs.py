"""The benchmark runs and prints every row with its baseline; what the figures are is not a test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
ROWS = {
    "warm 1+1, durability write",
    "warm 1+1, durability fsync",
    "one-shot, a waiting child found",
    "one-shot, none waiting",
    "sustained one-shots: seconds each, 2 callers",
    "embedded: first result, base",
}


def test_every_row_is_measured_beside_its_baseline(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json", str(tmp_path / "rows.json")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert {row["operation"] for row in rows} >= ROWS
    for row in rows:
        assert row["measured"]["p50"] > 0
        assert row["against"]["p50"] > 0
        assert row["operation"] in ended.stdout
