"""Taking a snippet back: a checkpoint from right before its start, to return to when it fails or its interpreter is lost.

The checkpoint is taken before the intent is recorded, so its refusal (threads, no room) is NOT_STARTED in the full sense.
A rollback comes before the result goes out, so whoever has the result finds the session as it says. The code that ran could
have destroyed its checkpoint: what then could not be taken back is said, never claimed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from typing import TYPE_CHECKING, Protocol

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sandboxd.events import Result
    from sandboxd.executors.base import Box

_logger = logging.getLogger(__name__)

BEFORE = "@before"
"""The checkpoint's name in the box: `@` is not in the alphabet of a client's names."""


class Revocable(Protocol):
    """What is needed to know of a snippet."""

    @property
    def execution_id(self) -> str:
        """Return its id."""

    @property
    def rollback_on_error(self) -> bool:
        """Tell whether anything but success is to leave no trace."""


class SafetyNet:
    """What the snippets of one session can be taken back to. One snippet at a time.

    Args:
        box: the session's.
        per_snippet: keep a checkpoint for each snippet, to restore a lost interpreter from.
        record: takes kind, cause and execution id of what was done, for the log.
    """

    def __init__(self, box: Box, *, per_snippet: bool, record: Callable[[str, str, str], None]) -> None:
        self._box = box
        self._per_snippet = per_snippet
        self._record = record
        self._since = ""  # before which execution the checkpoint was taken; "" is none
        self._absent = ""  # why there is none
        self._restored = (
            ""  # before which execution the session is again, since its interpreter was lost in between
        )
        self._lost_before = False  # an earlier loss that no result has told of yet

    @contextlib.asynccontextmanager
    async def under(self, snippet: Revocable) -> AsyncIterator[None]:
        """Hold the net under a snippet.

        Raises:
            SandboxdError: FORK_REFUSED, FORK_FAILED, FORK_LIMIT, SESSION_LOST, where the snippet is to be rolled back on an
                error; with NOT_STARTED.
        """
        await self._spread(snippet)
        try:
            yield
        finally:
            await self._fold()

    async def settle(self, snippet: Revocable, result: Result) -> Result:
        """Take the snippet back where its result demands it, and say so in the result."""
        lost = self._per_snippet and result.variables_lost and not self._lost_before
        wanted = snippet.rollback_on_error and result.outcome is not Outcome.OK
        restored, self._restored = self._restored, ""
        if restored:
            result = dataclasses.replace(result, restored_from=restored)
        if wanted or lost:
            result = await self._return(
                snippet, result, "on_error" if wanted else "interpreter_lost", lost=lost
            )
        await self._fold()
        return result

    async def _spread(self, snippet: Revocable) -> None:
        if not (self._per_snippet or snippet.rollback_on_error):
            return
        try:
            await self._mend(snippet)
            await self._take(snippet)
        except SandboxdError as error:
            if snippet.rollback_on_error:
                error.failure = error.failure or FailureClass.NOT_STARTED
                raise
            await self._drop()  # an older one would bring back files and variables that nobody expects
            self._absent = f"{error.code}: {error.message}"
            self._record("checkpoint_refused", error.code.value, snippet.execution_id)
            return
        self._since, self._absent = snippet.execution_id, ""

    async def _take(self, snippet: Revocable) -> None:
        try:
            await self._box.checkpoint(BEFORE)
        except SandboxdError:
            if not self._box.variables_lost or self._lost_before:
                raise
            await self._mend(snippet)  # its interpreter had died, and that was not known yet
            await self._box.checkpoint(BEFORE)

    async def _mend(self, snippet: Revocable) -> None:
        """Bring back an interpreter that was lost between two snippets, where there is a checkpoint of the last one."""
        if self._box.variables_lost and self._since:
            try:
                await self._box.rollback(BEFORE)
            except SandboxdError as error:
                self._record("rollback_failed", error.code.value, snippet.execution_id)
            else:
                self._restored = f"before:{self._since}"
                self._record("rolled_back", "interpreter_lost", snippet.execution_id)
        self._lost_before = self._box.variables_lost

    async def _return(self, snippet: Revocable, result: Result, cause: str, *, lost: bool) -> Result:
        if self._since != snippet.execution_id:
            return _told(result, f"not restored: {self._absent}")
        try:
            await self._box.rollback(BEFORE)
        except SandboxdError as error:
            self._since = ""
            self._record("rollback_failed", error.code.value, snippet.execution_id)
            told = _told(result, f"not rolled back: {error.code}: {error.message}")
            # Half way: the interpreter was ended, and its checkpoint could not take its place.
            lost = result.variables_lost or error.code is Code.FORK_FAILED
            return dataclasses.replace(told, variables_lost=lost)
        except Exception:
            _logger.exception("rollback failed", extra={"execution": snippet.execution_id})
            self._since = ""
            return _told(result, f"not rolled back: {Code.INTERNAL}")
        self._record("rolled_back", cause, snippet.execution_id)
        return dataclasses.replace(
            result,
            rolled_back=cause == "on_error",
            restored_from=f"before:{snippet.execution_id}" if lost else result.restored_from,
            variables_lost=self._lost_before,
            files=(),  # they are as they were before the snippet
            files_truncated=False,
        )

    async def _fold(self) -> None:
        """Let the checkpoint go, where the policy keeps none."""
        if self._since and not self._per_snippet:
            await self._drop()

    async def _drop(self) -> None:
        self._since = ""
        with contextlib.suppress(SandboxdError):
            await self._box.drop_checkpoint(BEFORE)


def _told(result: Result, why: str) -> Result:
    """Say in a result why its snippet was not taken back."""
    evidence = result.evidence
    detail = f"{evidence.detail}; {why}" if evidence.detail else why
    return dataclasses.replace(result, evidence=dataclasses.replace(evidence, detail=detail))
