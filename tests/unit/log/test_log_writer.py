from __future__ import annotations

import asyncio
import json
import stat
from typing import TYPE_CHECKING

import pytest

from sandboxd.errors import Code, FailureClass, SandboxdError, StartError
from sandboxd.log import Log, verify
from sandboxd.log.segments import list_segments
from sandboxd.log.writer import OWED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DURABILITIES = pytest.mark.parametrize("durability", ["write", "fsync"])


async def fill(log: Log, **settings: bool) -> None:
    """Append until the log refuses, which it raises."""
    for number in range(10_000):
        await log.before("intent", {"number": number}, **settings)


def records_of(directory: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in list_segments(directory) for line in path.read_bytes().splitlines()]


@DURABILITIES
async def test_a_record_is_on_disk_when_before_returns(
    open_log: Callable[..., Log], tmp_path: Path, durability: str
) -> None:
    log = open_log(durability=durability)
    for number in range(3):
        await log.before("test", {"number": number})
        assert records_of(tmp_path / "log")[-1]["number"] == number
    assert verify(tmp_path / "log").last_seq == log.last.seq == 3


@DURABILITIES
async def test_order_is_call_order(open_log: Callable[..., Log], tmp_path: Path, durability: str) -> None:
    log = open_log(durability=durability)
    log.after("test", {"number": 0})
    first = asyncio.ensure_future(log.before("test", {"number": 1}))
    await asyncio.sleep(0)
    log.after("test", {"number": 2})
    await log.before("test", {"number": 3})
    await first
    log.after("test", {"number": 4})
    log.close()
    assert [record["number"] for record in records_of(tmp_path / "log")] == [0, 1, 2, 3, 4]


@DURABILITIES
async def test_after_is_written_without_a_before(
    open_log: Callable[..., Log], tmp_path: Path, durability: str
) -> None:
    log = open_log(durability=durability)
    log.after("test", {})
    for _ in range(1000):
        await asyncio.sleep(0.005)
        if verify(tmp_path / "log").records:
            return
    raise AssertionError("never written")


@DURABILITIES
async def test_concurrent_records_are_all_there(
    open_log: Callable[..., Log], tmp_path: Path, durability: str
) -> None:
    log = open_log(durability=durability, rotate_bytes=2000)
    await asyncio.gather(*(log.before("test", {"number": number}) for number in range(200)))
    report = verify(tmp_path / "log")
    assert report.ok
    assert report.records == 200
    assert report.segments > 10


async def test_a_cancelled_caller_s_record_stays_in_the_chain(
    open_log: Callable[..., Log], tmp_path: Path
) -> None:
    log = open_log(durability="fsync")
    task = asyncio.ensure_future(log.before("cancelled", {}))
    await asyncio.sleep(0)
    task.cancel()
    await log.before("next", {})
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [record["kind"] for record in records_of(tmp_path / "log")] == ["cancelled", "next"]


async def test_segments_are_named_by_first_record_bounded_and_private(
    open_log: Callable[..., Log], tmp_path: Path
) -> None:
    log = open_log(rotate_bytes=1000)
    for number in range(20):
        await log.before("test", {"number": number})
    paths = list_segments(tmp_path / "log")
    assert paths[0].name == "log-000000000001.jsonl"
    assert len(paths) > 3
    for path in paths:
        assert path.stat().st_size <= 1000
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert int(path.stem.removeprefix("log-")) == json.loads(path.read_bytes().splitlines()[0])["seq"]
    assert log.size_bytes == sum(path.stat().st_size for path in paths)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700


async def test_the_chain_goes_on_after_a_restart(open_log: Callable[..., Log], tmp_path: Path) -> None:
    for _ in range(3):
        log = open_log(rotate_bytes=500)
        for _ in range(3):
            await log.before("test", {})
        log.close()
    report = verify(tmp_path / "log")
    assert report.ok
    assert report.last_seq == 9


@DURABILITIES
async def test_a_full_log_refuses_and_names_the_remedy(open_log: Callable[..., Log], durability: str) -> None:
    log = open_log(durability=durability, max_total_bytes=4000)
    with pytest.raises(SandboxdError) as caught:
        await fill(log)
    assert caught.value.code is Code.LOG_FULL
    assert caught.value.failure is FailureClass.NOT_STARTED
    assert "log_max_bytes" in caught.value.remedy
    assert "archive" in caught.value.remedy
    assert not log.failed


async def test_owed_records_always_fit(open_log: Callable[..., Log], tmp_path: Path) -> None:
    log = open_log(max_total_bytes=40_000)
    with pytest.raises(SandboxdError, match="LOG_FULL"):
        await fill(log, owes=True)
    accepted = log.last.seq
    assert accepted > 5
    for _ in range(accepted):
        before = log.size_bytes
        log.after("outcome", dict.fromkeys("abcde", "x" * 500) | {"rest": "x" * 312}, owed=True)
        assert log.size_bytes - before in range(OWED_BYTES - 10, OWED_BYTES + 1)
    log.close()
    assert sum(record["kind"] == "outcome" for record in records_of(tmp_path / "log")) == accepted
    assert log.size_bytes <= 40_000 - 40_000 // 8  # an eighth is kept for what nobody announced


async def test_what_is_dropped_beyond_the_cap_is_confessed(
    open_log: Callable[..., Log], tmp_path: Path, clock: Callable[[], float]
) -> None:
    log = open_log(max_total_bytes=8000, rotate_bytes=2000)
    for _ in range(100):
        log.after("noise", {})
    await asyncio.sleep(0)
    assert log.size_bytes <= 8000
    written = verify(tmp_path / "log").records
    for path in list_segments(tmp_path / "log")[:3]:
        path.rename(tmp_path / path.name)
    clock.now += 1.0  # type: ignore[attr-defined]
    await log.before("test", {})
    log.close()
    *_, confession, last = records_of(tmp_path / "log")
    assert (confession["kind"], confession["count"]) == ("records_dropped", 100 - written)
    assert last["kind"] == "test"
    assert verify(tmp_path / "log").ok


async def test_moving_old_segments_away_makes_room_without_a_restart(
    open_log: Callable[..., Log], tmp_path: Path, clock: Callable[[], float]
) -> None:
    log = open_log(max_total_bytes=20_000, rotate_bytes=2000)
    with pytest.raises(SandboxdError, match="LOG_FULL"):
        await fill(log)
    for path in list_segments(tmp_path / "log")[:4]:
        path.rename(tmp_path / path.name)
    clock.now += 1.0  # type: ignore[attr-defined]
    await log.before("test", {})
    report = verify(tmp_path / "log")
    assert report.ok
    assert report.first_seq > 1


@DURABILITIES
async def test_a_closed_log_takes_nothing(
    open_log: Callable[..., Log], tmp_path: Path, durability: str
) -> None:
    log = open_log(durability=durability)
    log.after("test", {})
    log.close()
    log.close()
    log.after("test", {})
    with pytest.raises(SandboxdError, match="LOG_FAILED"):
        await log.before("test", {})
    assert verify(tmp_path / "log").records == 1


async def test_a_segment_that_is_already_there_is_never_appended_to(
    open_log: Callable[..., Log], tmp_path: Path
) -> None:
    log = open_log(rotate_bytes=100)
    await log.before("test", {})
    (tmp_path / "log" / "log-000000000002.jsonl").write_bytes(b"planted")
    for _ in range(2):
        with pytest.raises(SandboxdError, match="LOG_FAILED"):
            await log.before("test", {})
    assert (tmp_path / "log" / "log-000000000002.jsonl").read_bytes() == b"planted"
    assert log.failed


def test_an_unknown_durability_is_refused(open_log: Callable[..., Log]) -> None:
    with pytest.raises(ValueError, match="durability"):
        open_log(durability="maybe")


def test_a_log_that_cannot_be_opened_says_so(tmp_path: Path, open_log: Callable[..., Log]) -> None:
    (tmp_path / "log").write_bytes(b"")
    with pytest.raises(StartError, match="LOG_FAILED"):
        open_log()
