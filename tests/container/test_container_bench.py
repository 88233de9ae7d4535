"""The benchmark's rows of the container tiers are measured, each beside its baseline; the figures are not a test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = (
    "open, one waiting",
    "open, none waiting",
    "1+1 in an open session",
    "close, until the engine has it no more",
)


@pytest.mark.timeout(300)
def test_every_row_of_containers_is_measured_beside_its_baseline(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "--only", "containers"]
    ended = subprocess.run(
        [*command, "--json", str(tmp_path / "rows.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    measured = {row["what"] for row in rows if row["ours"] is not None and row["against"] is not None}
    wanted = {f"{runtime}: {row}" for runtime in ("runc", "runsc") for row in ROWS}
    assert wanted | {"runc: one-shot, one waiting"} <= measured
    assert any("one-shots without a pause" in what for what in measured)
    assert all(row["note"] for row in rows if row["ours"] is None)
