"""The benchmark measures every row beside its baseline; what the figures are is not a test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# (what, with a baseline, with a target); rows that need what CI does not have are told with the reason instead.
ROWS = {
    ("warm session, 1+1, durability write", True, True),
    ("the same through a service's acceptor", True, True),
    ("warm session, 1+1, durability fsync", True, True),
    ("one-shot, a waiting child found", True, True),
    ("one-shot, none waiting", True, True),
    ("sustained one-shots, 1 caller: throughput", True, False),
    ("sustained one-shots, 1 caller: latency", False, False),
    ("sustained one-shots, 2 callers: throughput", True, True),
    ("sustained one-shots, 2 callers: latency", False, False),
    ("1 session of 1+1: latency", True, False),
    ("1 session of 1+1: throughput", True, False),
    ("8 sessions of 1+1: latency", True, False),
    ("8 sessions of 1+1: throughput", True, False),
    ("embedded: Sandbox() to its first result, base", True, True),
    ("idle session, base, fresh: page tables of its two processes", False, False),
    ("screening a typical text again, cached", False, True),
    ("screening a long text", True, True),
    ("restricted compile of a typical text", True, False),
    ("restricted, attribute", True, False),
    ("restricted, all of these", True, True),
    ("2 MB printed and read", True, False),
    ("fork, the session holds nothing", True, True),
    ("rollback, the session holds nothing", True, False),
    ("a search of 64 branches by fork", True, True),
    ("tool call from code, one after the other", True, True),
    ("tool calls from code, in flight together, each", True, False),
    ("direct tool call", True, True),
}
OF_JAILS = {  # only root may read a jail's memory maps
    ("8 open sessions: memory of all processes, each page counted once", False, False),
    ("idle session, base, fresh: private memory", True, False),
    ("idle session, base, after some JSON: private memory", True, False),
}


@pytest.mark.userns
@pytest.mark.timeout(300)
def test_every_row_is_measured_beside_its_baseline(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json", str(tmp_path / "rows.json")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr
    written = json.loads((tmp_path / "rows.json").read_text())
    assert written["machine"].keys() >= {"cores", "kernel", "python", "processor", "commit", "date"}
    measured = {
        (row["what"], row["against"] is not None, row["met"] is not None)
        for row in written["rows"]
        if row["ours"] is not None
    }
    wanted = ROWS | (OF_JAILS if written["machine"]["user"] == "root" else set())
    assert wanted <= measured, wanted - measured
    for row in written["rows"]:
        assert row["what"] in ended.stdout
        assert not row["failed"]
        if row["ours"] is None:
            assert row["note"], f"{row['what']} is missing without a reason"
        else:
            assert 0 < row["ours"]["p50"] <= row["ours"]["p99"], row
            assert row["against"] is None or row["against"]["p50"] > 0, row
