from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sandboxd.cli import main
from sandboxd.log import Log
from sandboxd.log.segments import list_segments

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def write_log(directory: Path) -> Path:
    log = Log.open(directory, durability="write", rotate_bytes=1 << 20, max_total_bytes=1 << 24)
    await log.before("intent", {"execution_id": "one"})
    await log.before("intent", {"execution_id": "two"})
    log.close()
    return list_segments(directory)[0]


async def test_an_intact_log_is_told_with_its_last_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await write_log(tmp_path / "log")
    assert main(["audit", "verify", str(tmp_path / "log"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert report["records"] >= 2
    assert main(["audit", "verify", str(tmp_path / "log")]) == 0
    assert report["last_hash"] in capsys.readouterr().out


async def test_a_changed_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment = await write_log(tmp_path / "log")
    segment.write_text(segment.read_text().replace('"one"', '"one!"'))
    assert main(["audit", "verify", str(tmp_path / "log")]) == 1
    assert f"{segment.name}, line " in capsys.readouterr().out


def test_no_log_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", str(tmp_path / "missing")]) == 6
    assert "Traceback" not in capsys.readouterr().err
