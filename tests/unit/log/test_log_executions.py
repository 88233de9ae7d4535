from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from sandboxd.errors import Code, FailureClass, SandboxdError, StartError
from sandboxd.events import Evidence, FinalAnswer, Outcome, ProgramError, Result, Usage
from sandboxd.log import Executions, Intent, Log, read_history, verify
from sandboxd.log.executions import MAX_RECORDS
from sandboxd.log.outcomes import outcome_fields
from sandboxd.log.records import START, JsonValue, seal
from sandboxd.log.segments import list_segments
from sandboxd.log.writer import OWED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = 24 * 3600.0
OK = Result(
    Outcome.OK,
    Evidence("guest"),
    text="SECRET-TEXT",
    usage=Usage(cpu_seconds=0.25, wall_seconds=0.5, sources={"cpu_seconds": "cgroup"}),
    final_answer=FinalAnswer("SECRET-JSON", "SECRET-ANSWER"),
)


@pytest.fixture
def start(
    open_log: Callable[..., Log], tmp_path: Path, clock: Callable[[], float]
) -> Callable[..., Executions]:
    """Open log and index as a daemon's start does; the one before is closed, or died."""
    logs: list[Log] = []

    def open_it(*, max_records: int = MAX_RECORDS, **settings: object) -> Executions:
        for log in logs:
            log.close()
        logs.append(open_log(**settings))
        history = read_history(tmp_path / "log")
        return Executions.open(logs[-1], history, clock=clock, max_records=max_records)

    return open_it


def kinds(directory: Path, kind: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for path in list_segments(directory) for line in path.read_bytes().splitlines()]
    return [line for line in lines if line["kind"] == kind]


async def test_an_intent_is_logged_before_and_one_outcome_after(
    start: Callable[..., Executions], intent: Callable[..., Intent], tmp_path: Path
) -> None:
    executions = start()
    assert await executions.begin(intent("e-1")) is None
    (logged,) = kinds(tmp_path / "log", "execution_intent")
    assert (logged["execution_id"], logged["uid"], logged["session"]) == ("e-1", 1000, "s-aaaaaaaaaaaa")
    executions.finish("e-1", OK)
    executions.finish("e-1", Result(Outcome.KILLED))
    await asyncio.sleep(0)
    (outcome,) = kinds(tmp_path / "log", "execution_outcome")
    assert (outcome["outcome"], outcome["uid"]) == ("ok", 1000)
    assert executions.get("e-1", 1000).result == OK


async def test_a_repeat_is_answered_and_starts_nothing(
    start: Callable[..., Executions], intent: Callable[..., Intent], tmp_path: Path
) -> None:
    executions = start()
    await executions.begin(intent())
    running = await executions.begin(intent())
    assert running is not None
    assert running.result is None
    executions.finish("e-1", OK)
    ended = await executions.begin(intent())
    assert ended is not None
    assert ended.result == OK
    assert len(kinds(tmp_path / "log", "execution_intent")) == 1


@pytest.mark.parametrize(
    "changed",
    [{"uid": 1001}, {"session": "s-bbbbbbbbbbbb"}, {"source_sha256": "c" * 64}],
    ids=lambda c: next(iter(c)),
)
async def test_an_id_with_another_meaning_is_refused(
    start: Callable[..., Executions], intent: Callable[..., Intent], changed: dict[str, object]
) -> None:
    executions = start()
    await executions.begin(intent())
    for _ in range(2):
        with pytest.raises(SandboxdError) as caught:
            await executions.begin(intent(**changed))
        assert caught.value.code is Code.EXECUTION_ID_REUSED
        assert caught.value.failure is FailureClass.NOT_STARTED
        executions.finish("e-1", OK)


@pytest.mark.parametrize("durability", ["write", "fsync"])
async def test_concurrent_begins_of_one_id_yield_one_intent(
    start: Callable[..., Executions], intent: Callable[..., Intent], tmp_path: Path, durability: str
) -> None:
    executions = start(durability=durability)
    answers = await asyncio.gather(*(executions.begin(intent()) for _ in range(50)))
    assert sum(answer is None for answer in answers) == 1
    assert len(kinds(tmp_path / "log", "execution_intent")) == 1


async def test_a_repeat_waits_until_the_first_intent_is_durable(
    start: Callable[..., Executions], intent: Callable[..., Intent], tmp_path: Path
) -> None:
    executions = start(durability="fsync")
    first = asyncio.ensure_future(executions.begin(intent()))
    await asyncio.sleep(0)
    assert not first.done()
    repeat = await executions.begin(intent())
    assert repeat is not None
    assert len(kinds(tmp_path / "log", "execution_intent")) == 1
    assert await first is None


async def test_a_begin_that_is_cancelled_ends_as_cancelled(
    start: Callable[..., Executions], intent: Callable[..., Intent], tmp_path: Path
) -> None:
    executions = start(durability="fsync")
    first = asyncio.ensure_future(executions.begin(intent()))
    await asyncio.sleep(0)
    first.cancel()
    repeat = await executions.begin(intent())
    assert repeat is not None
    assert repeat.result is not None
    assert repeat.result.outcome is Outcome.CANCELLED
    await executions.begin(intent("e-2"))
    assert len(kinds(tmp_path / "log", "execution_outcome")) == 1


async def test_an_id_refused_by_a_full_log_can_be_begun_later(
    start: Callable[..., Executions],
    intent: Callable[..., Intent],
    tmp_path: Path,
    clock: Callable[[], float],
) -> None:
    executions = start(max_total_bytes=30_000, rotate_bytes=1000)

    async def run_until_refused() -> None:
        for number in range(1000):
            execution_id = f"e-{number}"
            refused.append(execution_id)
            await executions.begin(intent(execution_id))
            executions.finish(execution_id, OK)

    refused: list[str] = []
    with pytest.raises(SandboxdError, match="LOG_FULL"):
        await run_until_refused()
    with pytest.raises(SandboxdError, match="EXECUTION_NOT_FOUND"):
        executions.get(refused[-1], 1000)
    for path in list_segments(tmp_path / "log")[:5]:
        path.rename(tmp_path / path.name)
    clock.now += 2  # type: ignore[attr-defined]
    assert await executions.begin(intent(refused[-1])) is None


async def test_another_user_s_execution_is_not_found(
    start: Callable[..., Executions], intent: Callable[..., Intent]
) -> None:
    executions = start()
    await executions.begin(intent())
    for uid, execution_id in ((1001, "e-1"), (1000, "e-2")):
        with pytest.raises(SandboxdError, match="EXECUTION_NOT_FOUND"):
            executions.get(execution_id, uid)
    with pytest.raises(SandboxdError, match="EXECUTION_NOT_FOUND"):
        executions.finish("e-2", OK)


@pytest.mark.parametrize("execution_id", ["", "x" * 129, "a b", "a\n", "é", "../x"])
async def test_an_id_is_plain_and_bounded(
    start: Callable[..., Executions], intent: Callable[..., Intent], execution_id: str, tmp_path: Path
) -> None:
    with pytest.raises(SandboxdError, match="INVALID_REQUEST"):
        await start().begin(intent(execution_id))
    assert kinds(tmp_path / "log", "execution_intent") == []


async def test_a_restart_keeps_the_facts_and_ends_the_orphans(
    start: Callable[..., Executions],
    intent: Callable[..., Intent],
    tmp_path: Path,
    clock: Callable[[], float],
) -> None:
    executions = start()
    await executions.begin(intent("ended"))
    clock.now += 5  # type: ignore[attr-defined]
    executions.finish("ended", OK)
    await executions.begin(intent("orphan"))
    before = executions.get("ended", 1000)
    for _ in range(2):  # the orphan is ended once, not at each start
        executions = start()
        after = executions.get("ended", 1000)
        assert after.text_expired
        assert after.result == Result(Outcome.OK, Evidence("guest"), usage=OK.usage)
        assert after.started_at_seconds == pytest.approx(before.started_at_seconds, abs=1e-3)
        assert after.finished_at_seconds == pytest.approx(before.finished_at_seconds, abs=1e-3)
        orphan = await executions.begin(intent("orphan"))
        assert orphan is not None
        assert orphan.result is not None
        assert orphan.result.outcome is Outcome.INFRASTRUCTURE
        assert orphan.result.evidence.code == "DAEMON_RESTARTED"
    assert [record["execution_id"] for record in kinds(tmp_path / "log", "execution_outcome")] == [
        "ended",
        "orphan",
    ]
    assert verify(tmp_path / "log").ok


async def test_an_orphan_of_long_ago_is_ended_too(
    start: Callable[..., Executions],
    intent: Callable[..., Intent],
    tmp_path: Path,
    clock: Callable[[], float],
) -> None:
    await start().begin(intent("orphan"))
    clock.now += 30 * DAY  # type: ignore[attr-defined]
    start()
    await asyncio.sleep(0)
    assert len(kinds(tmp_path / "log", "execution_outcome")) == 1


async def test_a_full_log_still_ends_the_orphans(
    start: Callable[..., Executions], intent: Callable[..., Intent], tmp_path: Path
) -> None:
    executions = start()
    for number in range(20):
        await executions.begin(intent(f"e-{number}"))
    start(max_total_bytes=1000)
    await asyncio.sleep(0)
    assert len(kinds(tmp_path / "log", "execution_outcome")) == 20


async def test_executions_are_forgotten_a_day_after_their_end(
    start: Callable[..., Executions], intent: Callable[..., Intent], clock: Callable[[], float]
) -> None:
    executions = start()
    await executions.begin(intent("ended"))
    await executions.begin(intent("running"))
    clock.now += DAY  # type: ignore[attr-defined]
    executions.finish("ended", OK)
    clock.now += DAY  # type: ignore[attr-defined]
    assert executions.get("ended", 1000).result == OK
    clock.now += 0.5  # type: ignore[attr-defined]
    with pytest.raises(SandboxdError, match="EXECUTION_NOT_FOUND"):
        executions.get("ended", 1000)
    assert executions.get("running", 1000).result is None
    assert await executions.begin(intent("ended")) is None
    executions.finish("ended", OK)
    restarted = start()  # the log now holds the id twice
    assert restarted.get("ended", 1000).finished_at_seconds == pytest.approx(clock(), abs=1e-3)


async def test_a_restart_s_history_is_two_days_of_segments(
    open_log: Callable[..., Log], tmp_path: Path, clock: Callable[[], float]
) -> None:
    log = open_log(rotate_bytes=1000)
    for _ in range(60):
        clock.now += 3600.0  # type: ignore[attr-defined]
        await log.before("test", {})
    log.close()
    read = [record["seq"] for record in read_history(tmp_path / "log")]
    assert read[-1] == 60
    assert read == list(range(read[0], 61))
    assert 1 < read[0] <= 12


async def test_one_user_cannot_make_the_daemon_forget_another_s(
    start: Callable[..., Executions], intent: Callable[..., Intent]
) -> None:
    executions = start(max_records=10)
    for number in range(3):
        await executions.begin(intent(f"victim-{number}", uid=1))
        executions.finish(f"victim-{number}", OK)
    for number in range(50):
        await executions.begin(intent(f"flood-{number}", uid=2))
        executions.finish(f"flood-{number}", OK)
    assert all(executions.get(f"victim-{number}", 1).result for number in range(3))
    assert executions.get("flood-49", 2).result == OK
    with pytest.raises(SandboxdError, match="EXECUTION_NOT_FOUND"):
        executions.get("flood-0", 2)
    restarted = start(max_records=10)
    assert all(restarted.get(f"victim-{number}", 1).result for number in range(3))


async def test_nothing_a_program_says_is_logged(
    start: Callable[..., Executions], intent: Callable[..., Intent], tmp_path: Path
) -> None:
    executions = start()
    await executions.begin(intent())
    hostile = Result(
        Outcome.ERROR,
        Evidence("guest\x1b[31m", "SIG\nSEGV", "SECRET-DETAIL"),
        text="SECRET-TEXT",
        error=ProgramError("SECRET-NAME", "SECRET-MESSAGE", "SECRET-TRACEBACK"),
        usage=Usage(sources={"SECRET-SOURCE": "SECRET", "cpu_seconds": "cgroup"}),
        final_answer=FinalAnswer("SECRET-JSON", "SECRET-ANSWER"),
    )
    executions.finish("e-1", hostile)
    await asyncio.sleep(0)
    assert b"SECRET" not in list_segments(tmp_path / "log")[0].read_bytes()
    (outcome,) = kinds(tmp_path / "log", "execution_outcome")
    assert outcome["evidence"] == {"source": "guest??31m", "code": "SIG?SEGV"}


async def test_texts_go_with_their_session_and_facts_stay(
    start: Callable[..., Executions], intent: Callable[..., Intent]
) -> None:
    executions = start()
    await executions.begin(intent())
    executions.finish("e-1", OK)
    executions.forget_texts("s-aaaaaaaaaaaa")
    record = executions.get("e-1", 1000)
    assert record.text_expired
    assert record.result == Result(Outcome.OK, Evidence("guest"), usage=OK.usage)


async def test_the_largest_outcome_fits_its_reserve(intent: Callable[..., Intent]) -> None:
    widest = Result(
        Outcome.INFRASTRUCTURE,
        Evidence("\u202e" * 999, "\u202e" * 999),
        usage=Usage(*[2**63 - 1] * 7, sources=dict.fromkeys(Usage.__slots__, "\u202e" * 999)),
        limits_hit=("\u202e" * 999,) * 99,
        stdout_dropped_bytes=2**63 - 1,
        stderr_dropped_bytes=2**63 - 1,
    )
    fields: dict[str, JsonValue] = outcome_fields(
        intent("x" * 128, uid=2**32, session="s" * 64, policy="p" * 128), 0, widest
    )
    assert 1000 < len(seal(START, "execution_outcome", fields, now_seconds=0).line) <= OWED_BYTES


async def test_a_record_of_another_format_stops_the_start(
    open_log: Callable[..., Log], tmp_path: Path, start: Callable[..., Executions]
) -> None:
    log = open_log()
    await log.before("execution_intent", {"execution_id": ["e-1"]})
    log.close()
    with pytest.raises(StartError, match="LOG_BROKEN"):
        start()
