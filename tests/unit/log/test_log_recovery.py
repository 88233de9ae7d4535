from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sandboxd.errors import StartError
from sandboxd.log import Log, verify
from sandboxd.log.segments import list_segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def fill(log: Log, count: int) -> None:
    for number in range(count):
        await log.before("test", {"number": number})
    log.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.mark.parametrize("torn", [b'{"seq":4,"ts":"20', b"\0" * 5000, b'{"seq":4' + b"\0" * 100_000])
async def test_a_torn_tail_is_cut_and_the_cut_recorded(
    open_log: Callable[..., Log], tmp_path: Path, torn: bytes
) -> None:
    await fill(open_log(), 3)
    newest = tmp_path / "log" / "log-000000000001.jsonl"
    append(newest, torn)
    report = verify(tmp_path / "log")
    assert report.ok
    assert (report.records, report.torn_bytes) == (3, len(torn))
    await fill(open_log(), 1)
    report = verify(tmp_path / "log")
    assert (report.ok, report.records, report.torn_bytes) == (True, 5, 0)
    repaired = json.loads(newest.read_bytes().splitlines()[3])
    assert (repaired["kind"], repaired["torn_bytes"]) == ("log_repaired", len(torn))
    assert b"\0" not in newest.read_bytes()


@pytest.mark.parametrize(
    "tail",
    [
        b'{"seq":4}\n',  # a whole line that is none of ours
        b"x" * 9000,  # longer than a line can be
        b'{"seq"\0\0' + b"x" * 10,  # something behind the NULs
        b'{"seq"\0\0\n',
    ],
)
async def test_a_tail_that_no_crash_leaves_is_broken(
    open_log: Callable[..., Log], tmp_path: Path, tail: bytes
) -> None:
    await fill(open_log(), 3)
    append(tmp_path / "log" / "log-000000000001.jsonl", tail)
    report = verify(tmp_path / "log")
    assert report.broken is not None
    assert (report.broken.file, report.broken.line) == ("log-000000000001.jsonl", 4)
    with pytest.raises(StartError, match="LOG_BROKEN"):
        open_log()


async def test_one_nul_byte_does_not_pass_later_records_off_as_torn(
    open_log: Callable[..., Log], tmp_path: Path
) -> None:
    await fill(open_log(), 10)
    path = tmp_path / "log" / "log-000000000001.jsonl"
    data = bytearray(path.read_bytes())
    data[data.index(b"\n") + 20] = 0
    path.write_bytes(data)
    assert not verify(tmp_path / "log").ok
    with pytest.raises(StartError, match="LOG_BROKEN"):
        open_log()
    assert path.read_bytes() == data


async def test_an_empty_newest_segment_is_gone_on_with(open_log: Callable[..., Log], tmp_path: Path) -> None:
    await fill(open_log(), 3)
    (tmp_path / "log" / "log-000000000004.jsonl").touch(0o600)
    assert verify(tmp_path / "log").ok
    await fill(open_log(), 1)
    report = verify(tmp_path / "log")
    assert (report.ok, report.last_seq, report.segments) == (True, 4, 2)


async def test_a_newest_segment_with_nothing_but_a_torn_line_is_repaired(
    open_log: Callable[..., Log], tmp_path: Path
) -> None:
    await fill(open_log(), 3)
    (tmp_path / "log" / "log-000000000004.jsonl").write_bytes(b'{"seq":4')
    await fill(open_log(), 1)
    report = verify(tmp_path / "log")
    assert (report.ok, report.records) == (True, 5)


async def test_a_first_segment_torn_at_once_is_repaired(open_log: Callable[..., Log], tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "log-000000000001.jsonl").write_bytes(b'{"se')
    await fill(open_log(), 1)
    report = verify(tmp_path / "log")
    assert (report.ok, report.records) == (True, 2)


async def test_opening_checks_the_newest_segment_against_the_one_before(
    open_log: Callable[..., Log], tmp_path: Path
) -> None:
    await fill(open_log(rotate_bytes=1000), 10)
    paths = list_segments(tmp_path / "log")
    lines = paths[-2].read_bytes().splitlines(keepends=True)
    paths[-2].write_bytes(b"".join(lines[:-1]))
    with pytest.raises(StartError, match="LOG_BROKEN"):
        open_log()
