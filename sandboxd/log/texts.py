"""The newest results with text, error and answer: a program's claims, in memory alone, and bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandboxd.events import Result

MAX_TEXT_BYTES = 64 << 20
_FIXED_BYTES = 1024


class Texts:
    """Full results by execution id, the oldest dropped first when they outgrow `max_bytes`."""

    def __init__(self, *, max_bytes: int = MAX_TEXT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._results: OrderedDict[str, tuple[str, Result, int]] = OrderedDict()
        self._sessions: dict[str, set[str]] = {}

    def keep(self, execution_id: str, session: str, result: Result) -> None:
        """Keep a full result until it is dropped, forgotten or crowded out."""
        size_bytes = _size_bytes(result)
        if size_bytes > self._max_bytes:
            return
        self._results[execution_id] = (session, result, size_bytes)
        self._sessions.setdefault(session, set()).add(execution_id)
        self._used_bytes += size_bytes
        while self._used_bytes > self._max_bytes:
            self.drop(next(iter(self._results)))

    def get(self, execution_id: str) -> Result | None:
        """Return a full result, or None when it is gone."""
        kept = self._results.get(execution_id)
        return None if kept is None else kept[1]

    def drop(self, execution_id: str) -> None:
        """Drop one result."""
        kept = self._results.pop(execution_id, None)
        if kept is None:
            return
        session, _, size_bytes = kept
        self._used_bytes -= size_bytes
        ids = self._sessions[session]
        ids.discard(execution_id)
        if not ids:
            del self._sessions[session]

    def forget(self, session: str) -> None:
        """Drop all results of a session."""
        for execution_id in list(self._sessions.get(session, ())):
            self.drop(execution_id)


def _size_bytes(result: Result) -> int:
    """Count what a result holds, at the four bytes that a character can take."""
    texts = [result.text or "", result.evidence.detail]
    if result.error is not None:
        texts += [result.error.name, result.error.message, result.error.traceback]
    if result.final_answer is not None:
        texts += [result.final_answer.json, result.final_answer.text]
    return _FIXED_BYTES + 4 * sum(map(len, texts))
