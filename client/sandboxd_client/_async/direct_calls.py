"""Direct calls of tools, several at once: the daemon checks each against schema, policy and budgets before a function runs.

A call is sent once. When the stream breaks, calls of which the daemon never spoke are sent again under their own ids, which
it refuses where it has them; those that are out it asks for again by itself; for an answer whose receipt is lost nothing is
done twice.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client._channel import Deadline, StreamBrokenError
from sandboxd_client._status import error_from_info
from sandboxd_client.errors import ClientCode, SandboxError
from sandboxd_client.results import ToolState
from sandboxd_client.tools.direct import DirectCall, DirectResult
from sandboxd_client.tools.errors import ToolValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandboxd_client._backend_async import Teller
    from sandboxd_client.stream_events import StreamEvent

    from .session import AsyncSession

RECEIPT_SECONDS = 2.0
"""How long to wait for the receipt of an answer that a broken stream may have taken with it."""


class AsyncDirectCalls:
    """Some calls from their sending to the last result. Made anew for each, by whoever holds the session's turn.

    Mutable state: what is known of each call so far; one task or thread.
    """

    def __init__(
        self, session: AsyncSession, calls: Sequence[DirectCall], tell: Teller[StreamEvent], seconds: float
    ) -> None:
        self._session = session
        self._calls = {call.call_id: call for call in calls}
        if len(self._calls) < len(calls):
            raise ValueError("two calls have one id: leave call_id out")
        self._tell = tell
        self._deadline = Deadline(seconds)
        self._asked: dict[int, str] = {}  # request id -> call id
        self._spoken: set[str] = set()  # of which the daemon has spoken
        self._results: dict[str, DirectResult] = {}
        self._broke = False
        self._receipt: Deadline | None = None

    async def run(self) -> list[DirectResult]:
        """Send the calls and wait for all of them.

        Raises:
            SandboxError: the session is gone, or the connection; calls that were out may have taken effect.
        """
        try:
            await self._send_new()
            while len(self._results) < len(self._calls):
                await self._advance()
        except BaseException:
            await self._give_up()
            raise
        finally:
            await self._say(self._session.desk.end())
            await self._session.desk.settle()
        return [self._results[call_id] for call_id in self._calls]

    async def _say(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            await self._tell(event)

    async def _send_new(self) -> None:
        for call in self._calls.values():
            if call.call_id in self._spoken or call.call_id in self._results:
                continue
            try:
                arguments = call.arguments_json()
            except ToolValueError as error:
                self._refused(call.call_id, "TOOL_ARGUMENTS", str(error))
                continue
            message = pb.CallTool(call_id=call.call_id, tool=call.tool, arguments_json=arguments)
            self._asked[await self._session.send(pb.SessionRequest(call_tool=message))] = call.call_id

    async def _advance(self) -> None:
        """Take the next event."""
        try:
            event = await self._session.receive(self._until())
        except TimeoutError:
            self._take_overdue()
            return
        except StreamBrokenError as broken:
            await self._recover(broken)
            return
        await self._say(self._session.desk.told())
        await self._take(event)

    def _until(self) -> Deadline:
        """Return how long to wait: soon no more where a broken stream may have taken the last receipts with it."""
        left = self._calls.keys() - self._results.keys()
        if not self._broke or not left <= self._session.desk.answers.keys():
            return self._deadline
        self._receipt = self._receipt or self._deadline.at_most(RECEIPT_SECONDS)
        return self._receipt

    async def _take(self, event: pb.SessionEvent) -> None:
        desk = self._session.desk
        kind = event.WhichOneof("event")
        if kind == "closed":
            raise self._session.closed_error(event.closed.reason)
        if kind == "tool_call" and event.tool_call.call_id in self._calls:
            self._spoken.add(event.tool_call.call_id)
            await self._say(await desk.take(event.tool_call))
        elif kind == "tool_call_over" and event.tool_call_over.call_id in self._calls:
            self._over(event.tool_call_over)
        elif kind == "refused" and event.request_id in self._asked:
            error = error_from_info(event.refused.error)
            self._refused(
                self._asked[event.request_id], error.code, f"{error.message} {error.remedy}".strip()
            )

    def _over(self, message: pb.ToolCallOver) -> None:
        answer = self._session.desk.answers.get(message.call_id)
        if message.reason == "timeout" or answer is None:
            self._session.desk.over(message)
            self._end(
                message.call_id, ToolState.TIMED_OUT, "TOOL_TIMEOUT", "The tool did not answer in time."
            )
        else:
            self._answered(message.call_id, answer)

    def _answered(self, call_id: str, answer: pb.ToolResult) -> None:
        if answer.WhichOneof("result") == "error":
            self._end(call_id, ToolState.FAILED, answer.error.name, answer.error.message)
        else:
            tool = self._calls[call_id].tool
            self._results[call_id] = DirectResult(call_id, tool, ToolState.FINISHED, answer.value_json)

    def _refused(self, call_id: str, code: str, message: str) -> None:
        if code == "INVALID_REQUEST" and call_id in self._spoken:
            return  # sent again after a broken stream: the daemon has it
        state = ToolState.FAILED if call_id in self._session.desk.answers else ToolState.DENIED
        self._end(call_id, state, code, message)

    def _end(self, call_id: str, state: ToolState, code: str, message: str) -> None:
        self._results[call_id] = DirectResult(
            call_id, self._calls[call_id].tool, state, code=code, message=message
        )

    def _take_overdue(self) -> None:
        """Nothing came in time: what was answered is known here, the rest is in doubt."""
        for call_id in self._calls.keys() - self._results.keys():
            answer = self._session.desk.answers.get(call_id)
            if answer is not None:
                self._answered(call_id, answer)
            else:
                self._end(
                    call_id,
                    ToolState.CUT_OFF,
                    ClientCode.DEADLINE_EXCEEDED,
                    "The daemon did not answer in time.",
                )

    async def _recover(self, broken: StreamBrokenError) -> None:
        session = self._session
        if session.closing:
            raise session.closed_error("")
        if broken.error is not None:
            raise broken.error
        self._broke = True
        await session.reattach(self._deadline)
        with contextlib.suppress(StreamBrokenError):  # then it is noticed again
            await self._send_new()

    async def _give_up(self) -> None:
        """Stop what runs, and tell the daemon so: nobody will answer."""
        session = self._session
        running = session.desk.running()
        session.desk.end()
        try:
            for call_id in running:
                stopped = pb.ToolError(name="CancelledError", message="The client stopped the call.")
                await session.send(
                    pb.SessionRequest(tool_result=pb.ToolResult(call_id=call_id, error=stopped))
                )
        except (StreamBrokenError, SandboxError):
            pass  # their time-outs end them
