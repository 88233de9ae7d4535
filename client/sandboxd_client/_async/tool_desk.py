"""The tools of one session, and their calls that are out: each is run once, however often the daemon asks for it.

When a stream breaks, what it carried may be lost. So each call's id is kept until its execution ends, with the answer once
there is one: all answers are sent again on the next stream (the daemon drops those that it has), and a call that is asked
for twice gets the first answer. A call that is over (its time-out, the end of its snippet) is
stopped: a coroutine is cancelled, a thread is told by its invocation's `cancelled`, and what they still return is dropped.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client._backend_async import ToolWorkers
from sandboxd_client.results import ToolState
from sandboxd_client.stream_events import StreamEvent, ToolFinished, ToolStarted
from sandboxd_client.tools.calls import error_answer, invocation
from sandboxd_client.tools.errors import ToolValueError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandboxd_client._backend_async import Action, Teller
    from sandboxd_client.tools import Tool, ToolInvocation

SETTLE_SECONDS = 1.0
"""How long cancelled coroutines may take to end before the caller gets its exception."""


@dataclass(frozen=True, slots=True)
class _Out:
    """A call that runs."""

    call: ToolInvocation
    since: float


class AsyncToolDesk:
    """Takes the calls of one session, from whoever receives its events; calls end on other tasks or threads.

    Mutable state: `_out` and `answers`, dictionaries whose single operations are atomic, so that one of end and cancellation
    wins; `notices` is a deque, filled where calls end and emptied by the receiver.

    Args:
        send: sends an answer.
        wake: makes the receiver look at `notices`.
    """

    def __init__(self, send: Teller[pb.ToolResult], wake: Action) -> None:
        self.tools: dict[str, Tool] = {}
        self.answers: dict[str, pb.ToolResult] = {}
        self.notices: deque[StreamEvent] = deque()
        self._send = send
        self._wake = wake
        self._out: dict[str, _Out] = {}
        self._workers: ToolWorkers | None = None

    def offer(self, tools: Iterable[Tool]) -> None:
        """Take these tools for the session's own from now on."""
        self.tools = {tool.name: tool for tool in tools}

    def told(self) -> list[StreamEvent]:
        """Return what has happened since, to be told to the caller."""
        told = []
        while self.notices:
            told.append(self.notices.popleft())
        return told

    def running(self) -> tuple[str, ...]:
        """Return the ids of the calls that run."""
        return tuple(self._out)

    async def take(self, message: pb.ToolCall) -> list[StreamEvent]:
        """Begin a call, or answer one again that was answered; return what to tell the caller."""
        answer = self.answers.get(message.call_id)
        if answer is not None:
            await self._send(answer)
            return []
        if message.call_id in self._out:
            return []
        tool = self.tools.get(message.tool)
        if tool is None:
            await self._refuse(
                message.call_id, ToolValueError(f"the client has no tool {message.tool!r:.80}")
            )
            return []
        try:
            call = invocation(tool, message)
        except ToolValueError as error:
            await self._refuse(message.call_id, error)
            return []
        self._out[call.call_id] = _Out(call, time.monotonic())
        self._workers = self._workers or ToolWorkers()
        try:
            self._workers.start(call.call_id, functools.partial(self._run, self._workers, tool, call))
        except RuntimeError as error:  # no thread to be had
            self._out.pop(call.call_id, None)
            await self._refuse(call.call_id, error)
            return []
        return [ToolStarted(call.call_id, call.tool, call.arguments, call.direct)]

    async def answer_again(self) -> None:
        """Send all answers again: a new stream has taken the place of one that may have lost some."""
        for answer in tuple(self.answers.values()):
            await self._send(answer)

    def over(self, message: pb.ToolCallOver) -> None:
        """Stop a call that nobody waits for any more."""
        self._stop(message.call_id, ToolState.TIMED_OUT if message.reason == "timeout" else ToolState.CUT_OFF)

    def end(self) -> list[StreamEvent]:
        """Stop what still runs and forget what was answered: the execution is over. Return what is left to tell."""
        for call_id in tuple(self._out):
            self._stop(call_id, ToolState.CUT_OFF)
        self.answers.clear()
        return self.told()

    async def settle(self) -> None:
        """Wait, within bounds, until the coroutines that were stopped have ended."""
        if self._workers is not None:
            await self._workers.settle(SETTLE_SECONDS)

    async def _run(self, workers: ToolWorkers, tool: Tool, call: ToolInvocation) -> None:
        try:
            answer = await workers.answer(tool, call)
        except Exception as error:  # noqa: BLE001 - no thread to be had: the program is told, rather than left waiting
            answer = error_answer(call.call_id, error)
        self.answers[call.call_id] = answer
        out = self._out.pop(call.call_id, None)
        if out is None:  # it was stopped meanwhile: nobody may get this answer
            self.answers.pop(call.call_id, None)
            return
        failed = answer.WhichOneof("result") == "error"
        state = ToolState.FAILED if failed else ToolState.FINISHED
        self.notices.append(
            ToolFinished(call.call_id, call.tool, state, answer.error.name, time.monotonic() - out.since)
        )
        await self._send(answer)
        self._wake()

    def _stop(self, call_id: str, state: ToolState) -> None:
        out = self._out.pop(call_id, None)
        if out is None or self._workers is None:
            return
        out.call.cancelled.set()
        self._workers.cancel(call_id)
        self.notices.append(ToolFinished(call_id, out.call.tool, state, "", time.monotonic() - out.since))

    async def _refuse(self, call_id: str, error: Exception) -> None:
        self.answers[call_id] = error_answer(call_id, error)
        await self._send(self.answers[call_id])
