"""The at-most-once index: which execution ids were begun, by whom, with which source, and how they ended.

An id is in the log before anything starts and stays known for 24 hours after its end. A repeat is answered,
never run. The index is bounded: beyond `max_records` the oldest ended execution of the user with the most of
them is forgotten early, so one user can neither exhaust the daemon's memory nor make it forget the executions
of another.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandboxd.errors import Code, FailureClass, SandboxdError, StartError
from sandboxd.events import Evidence, Outcome, Result
from sandboxd.log.history import DAY_SECONDS
from sandboxd.log.outcomes import Intent, facts_of, intent_fields, intent_of, outcome_fields, result_of
from sandboxd.log.records import parse_time
from sandboxd.log.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandboxd.log.writer import Log

INTENT = "execution_intent"
OUTCOME = "execution_outcome"
MAX_RECORDS = 100_000  # about 1.2 KiB each
_EXECUTION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PRUNE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an execution.

    `result` is None while it runs. Once `text_expired` is true it holds only the facts that the log keeps,
    without text, error and answer.
    """

    intent: Intent
    started_at_seconds: float
    finished_at_seconds: float | None = None
    result: Result | None = None
    text_expired: bool = False


class Executions:
    """The index over the log. Use it from the event loop's thread.

    The mutable state is `_records` (all), `_beginning` (ids whose intent is not durable yet), `_ended` (a
    user's ended ids, oldest first) and `_texts` (the newest full results).
    """

    def __init__(
        self, log: Log, *, clock: Callable[[], float] = time.time, max_records: int = MAX_RECORDS
    ) -> None:
        self._log = log
        self._clock = clock
        self._max_records = max_records
        self._records: dict[str, Record] = {}
        self._beginning: dict[str, asyncio.Event] = {}
        self._ended: dict[int, OrderedDict[str, None]] = {}
        self._texts = Texts()
        self._pruned_at_seconds = clock()

    @classmethod
    def open(
        cls,
        log: Log,
        history: Iterable[Mapping[str, Any]],
        *,
        clock: Callable[[], float] = time.time,
        max_records: int = MAX_RECORDS,
    ) -> Executions:
        """Rebuild the index; an intent without an outcome gets one: infrastructure(DAEMON_RESTARTED).

        Args:
            log: where intents and outcomes go.
            history: the log's records, oldest first (`read_history`); read as a stream.
            clock: Unix time in seconds.
            max_records: executions to know at most; running ones count, and are never forgotten.

        Raises:
            StartError: LOG_BROKEN, when a record of ours does not read back.
        """
        executions = cls(log, clock=clock, max_records=max_records)
        for record in history:
            try:
                executions._replay(record)
            except (KeyError, TypeError, ValueError, AttributeError):
                raise _unreadable(record) from None
        executions._end_orphans()
        executions._prune()
        return executions

    async def begin(self, intent: Intent) -> Record | None:
        """Begin an execution, once.

        Returns:
            None when it is newly begun: its intent is durable, and `finish` must follow. A record when the id
            was begun before with the same source, user and session: nothing was started.

        Raises:
            SandboxdError: EXECUTION_ID_REUSED, INVALID_REQUEST, LOG_FULL, LOG_FAILED; nothing was started.
        """
        execution_id = intent.execution_id
        if not _EXECUTION_ID.fullmatch(execution_id):
            raise _invalid_id()
        self._prune()
        # Not before the first one's intent is durable is a repeat told that it was begun.
        while (beginning := self._beginning.get(execution_id)) is not None:
            await beginning.wait()
        known = self._known(execution_id)
        if known is not None:
            return self._repeat(known, intent)
        await self._log_intent(intent)
        return None

    def finish(self, execution_id: str, result: Result) -> None:
        """Record the end of an execution and keep its result. Never blocks; the first outcome stays.

        Raises:
            SandboxdError: EXECUTION_NOT_FOUND, when it was never begun.
        """
        record = self._records.get(execution_id)
        if record is None:
            raise _not_found()
        if record.result is not None:
            return
        self._log_outcome(record, result)
        self._texts.keep(execution_id, record.intent.session, result)

    def get(self, execution_id: str, uid: int) -> Record:
        """Tell what is known of an execution to the user who began it.

        Raises:
            SandboxdError: EXECUTION_NOT_FOUND, also when it is another user's.
        """
        self._prune()
        record = self._known(execution_id)
        if record is None or record.intent.uid != uid:
            raise _not_found()
        return self._with_text(record)

    def forget_texts(self, session: str) -> None:
        """Drop text, error and answer of a session's results, when its lease ends; the facts stay."""
        self._texts.forget(session)

    def _known(self, execution_id: str) -> Record | None:
        record = self._records.get(execution_id)
        if record is not None and self._has_expired(record):
            self._forget(record)
            return None
        return record

    def _repeat(self, known: Record, intent: Intent) -> Record:
        before = known.intent
        same = (before.uid, before.session, before.source_sha256) == (
            intent.uid,
            intent.session,
            intent.source_sha256,
        )
        if not same:
            raise SandboxdError(
                Code.EXECUTION_ID_REUSED,
                "the execution id was used before with another source, user or session",
                remedy="Make a new random id for every execution.",
                failure=FailureClass.NOT_STARTED,
            )
        return self._with_text(known)

    async def _log_intent(self, intent: Intent) -> None:
        execution_id = intent.execution_id
        durable = self._beginning[execution_id] = asyncio.Event()
        self._records[execution_id] = Record(intent, self._clock())
        try:
            await self._log.before(INTENT, intent_fields(intent), owes=True)
        except asyncio.CancelledError:
            # The intent is written, its execution will not start: that is its outcome.
            self.finish(
                execution_id, Result(Outcome.CANCELLED, Evidence(source="daemon", code="not_started"))
            )
            raise
        except BaseException:
            del self._records[execution_id]
            raise
        finally:
            del self._beginning[execution_id]
            durable.set()
        self._bound()

    def _with_text(self, record: Record) -> Record:
        if record.result is None:
            return record
        full = self._texts.get(record.intent.execution_id)
        return Record(
            record.intent,
            record.started_at_seconds,
            record.finished_at_seconds,
            full or record.result,
            text_expired=full is None,
        )

    def _log_outcome(self, record: Record, result: Result) -> None:
        fields = outcome_fields(record.intent, record.started_at_seconds, result)
        self._log.after(OUTCOME, fields, owed=True)
        self._end(record, facts_of(result), self._clock())

    def _end(self, record: Record, facts: Result, now_seconds: float) -> None:
        intent = record.intent
        self._records[intent.execution_id] = Record(intent, record.started_at_seconds, now_seconds, facts)
        self._ended.setdefault(intent.uid, OrderedDict())[intent.execution_id] = None

    def _replay(self, record: Mapping[str, Any]) -> None:
        if record["kind"] not in {INTENT, OUTCOME}:
            return
        intent = intent_of(record)
        known = self._records.get(intent.execution_id)
        if record["kind"] == OUTCOME:
            started = Record(intent, parse_time(record["started_at"]))
            self._end(known or started, result_of(record), parse_time(record["ts"]))
        else:
            if known is not None:
                self._forget(known)  # the id was used again after its day
            self._records[intent.execution_id] = Record(intent, parse_time(record["ts"]))
        self._bound()

    def _end_orphans(self) -> None:
        restarted = Result(
            Outcome.INFRASTRUCTURE, Evidence(source="daemon", code=Code.DAEMON_RESTARTED.value)
        )
        for record in [record for record in self._records.values() if record.result is None]:
            self._log_outcome(record, restarted)

    def _has_expired(self, record: Record) -> bool:
        ended = record.finished_at_seconds
        return ended is not None and self._clock() - ended > DAY_SECONDS

    def _prune(self) -> None:
        now = self._clock()
        if abs(now - self._pruned_at_seconds) < _PRUNE_SECONDS:  # abs: the clock may be set back
            return
        self._pruned_at_seconds = now
        for uid in list(self._ended):
            ids = self._ended[uid]
            while ids and self._has_expired(oldest := self._records[next(iter(ids))]):
                self._forget(oldest)

    def _bound(self) -> None:
        while len(self._records) > self._max_records and self._ended:
            most = max(self._ended.values(), key=len)
            self._forget(self._records[next(iter(most))])

    def _forget(self, record: Record) -> None:
        intent = record.intent
        del self._records[intent.execution_id]
        self._texts.drop(intent.execution_id)
        ids = self._ended.get(intent.uid, OrderedDict())
        ids.pop(intent.execution_id, None)
        if not ids:
            self._ended.pop(intent.uid, None)


def _invalid_id() -> SandboxdError:
    return SandboxdError(
        Code.INVALID_REQUEST,
        "an execution id is 1 to 128 of A-Z a-z 0-9 . _ : -",
        remedy="Use a random UUID.",
        failure=FailureClass.NOT_STARTED,
    )


def _not_found() -> SandboxdError:
    return SandboxdError(
        Code.EXECUTION_NOT_FOUND,
        "no such execution is known for this user",
        remedy="Executions are known for 24 hours after their end, on the daemon that ran them.",
    )


def _unreadable(record: Mapping[str, Any]) -> StartError:
    return StartError(
        Code.LOG_BROKEN,
        f"record {record.get('seq')} of the log is not what this version writes",
        remedy="Run `sandboxd audit verify`; open the state directory with the version that wrote it.",
    )
