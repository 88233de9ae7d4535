"""One execution on its way, at most once: it ends in a result or in one of three failure classes.

Nothing here ever runs code a second time. When the stream breaks, the client attaches again and asks the
daemon what it knows of the execution id:

    no record     it was never started: NotStartedError (if the caller called it idempotent: sent once more)
    running       go on collecting; events that were missed are sent again
    finished      collect what is sent again, or take the result from the record
    session lost  SessionLostError, with what the log knows
    no answer     InDoubtError once the execution's own deadline, its grace and a margin are over

"No record" is a proof because the daemon ends the older stream before it answers Attach, and records an
execution before it starts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client._channel import Deadline, StreamBrokenError
from sandboxd_client._gather import Gatherer, execution_from_log
from sandboxd_client._status import error_from_info
from sandboxd_client.errors import (
    ClientCode,
    InDoubtError,
    NotStartedError,
    SandboxError,
    SessionLostError,
    not_started,
)

from .session import ATTACH_SECONDS

if TYPE_CHECKING:
    from sandboxd_client._backend_async import Teller
    from sandboxd_client.results import Execution
    from sandboxd_client.stream_events import StreamEvent

    from .session import AsyncSession

REPLAY_SECONDS = 2.0
"""How long to wait for the events of an execution that is known to be over."""
ABANDON_SECONDS = 1.0
"""How long past its grace an interrupted execution may take to end."""


class AsyncFlight:
    """One execution from its sending to its end. Made anew for each, by whoever holds the session's turn."""

    def __init__(
        self,
        session: AsyncSession,
        execute: pb.Execute,
        tell: Teller[StreamEvent],
        *,
        bound_seconds: float,
        idempotent: bool,
        sent: bool = False,
    ) -> None:
        self.told_badly = False
        self.over = False  # its result has come
        self._session = session
        self._execute = execute
        self._tell_caller = tell
        self._deadline = Deadline(bound_seconds)
        self._sent = sent  # with what opened the session: a one-shot
        self._may_send = 0 if sent else 2 if idempotent else 1
        self._request_id = 0
        self._gatherer = Gatherer(execute.execution_id, session.routing)
        self._record: pb.GetExecutionResponse | None = None  # once the daemon said that it is over
        self._until = self._deadline
        self._interrupted = False
        self._waits_for_tools = False

    async def run(self) -> Execution:
        """Send the code and collect what comes back.

        Raises:
            NotStartedError, InDoubtError, SessionLostError: see this module's text.
        """
        await self.begin()
        while True:
            execution = await self.advance()
            if execution is not None:
                return execution

    async def begin(self) -> None:
        """Send the code, unless it was sent with what opened the session.

        Raises:
            NotStartedError, SessionLostError: see this module's text.
        """
        if not self._sent:
            await self._attach_idle()
            await self._send()

    async def advance(self) -> Execution | None:
        """Take what comes next; return the execution when that was the last.

        Raises:
            NotStartedError, InDoubtError, SessionLostError: see this module's text.
        """
        try:
            event = await self._session.receive(self._until)
        except TimeoutError:
            if self._record is None and not self._interrupted:
                await self._interrupt_late()
                return None
            return await self._overdue()
        except StreamBrokenError as broken:
            await self._recover(broken)
            return None
        return await self._take(event)

    async def take_up(self) -> Execution:
        """Collect an execution that another stream began, from the first event that the daemon still has.

        Raises:
            NotStartedError: the daemon has no record of it.
            InDoubtError, SessionLostError: as for `run`.
        """
        self._may_send, self._sent = 0, True
        await self._attach_idle()
        try:
            await self._reconcile()
        except StreamBrokenError as broken:
            await self._recover(broken)
        return await self.run()

    async def abandon(self) -> None:
        """Interrupt the code and wait for its end, so that the session is free for the next."""
        session = self._session
        self.stop_tools()
        if self.over:
            return
        deadline = Deadline(session.opened.grace_seconds + ABANDON_SECONDS)
        try:
            await session.interrupt()
            while not self._ends_here(await session.receive(deadline)):
                pass
        except (StreamBrokenError, TimeoutError):
            await session.drop_stream()
        except BaseException:
            # A second Ctrl-C: what is left in the stream belongs to nobody.
            await session.drop_stream()
            raise
        finally:
            await session.desk.settle()

    def stop_tools(self) -> None:
        """Stop the tools that run for this execution."""
        self._session.desk.end()

    async def _attach_idle(self) -> None:
        """Attach again when the stream broke between two executions: nothing is under way yet."""
        if self._session.attached():
            return
        try:
            await self._session.reattach(self._deadline.at_most(ATTACH_SECONDS))
        except SandboxError as error:
            raise not_started(error) from error

    async def _send(self) -> None:
        self._may_send -= 1
        self._request_id = await self._session.send(pb.SessionRequest(execute=self._execute))

    async def _take(self, event: pb.SessionEvent) -> Execution | None:
        """Take one event; return the execution when it was the last."""
        desk = self._session.desk
        if desk.notices:
            await self._tell(desk.told())
        kind = event.WhichOneof("event")
        if kind == "closed":
            raise await self._lost(self._session.closed_error(event.closed.reason))
        if kind == "refused" and self._answers(event):
            error = not_started(error_from_info(event.refused.error, event.refused.retry_after_seconds))
            if isinstance(error, InDoubtError):
                error.execution_id = self._execute.execution_id
            raise error
        if event.execution_id != self._execute.execution_id:
            return None  # left over from an execution that was abandoned
        if kind == "result":
            return await self._finish(event.result)
        if kind == "refused":
            return None  # an interrupt that came too late
        if kind == "tool_call":
            self._wait_longer()
            await self._tell(await desk.take(event.tool_call))
            return None
        if kind == "tool_call_over":
            desk.over(event.tool_call_over)
            return None
        await self._tell(self._gatherer.add(event))
        return None

    def _answers(self, refusal: pb.SessionEvent) -> bool:
        """Say whether a refusal is of the code itself; after a re-attach it names no request any more."""
        own = refusal.execution_id == self._execute.execution_id
        return refusal.request_id == self._request_id or (own and not refusal.request_id)

    def _ends_here(self, event: pb.SessionEvent) -> bool:
        kind = event.WhichOneof("event")
        own = event.execution_id == self._execute.execution_id
        return kind == "closed" or (kind == "result" and own) or (kind == "refused" and self._answers(event))

    def _wait_longer(self) -> None:
        """The daemon's clock stands still while tools run: for that long in all, and this side does not know since when."""
        if not self._waits_for_tools:
            self._waits_for_tools = True
            limits = self._session.opened.limits
            self._deadline = Deadline(self._deadline.remaining() + limits.tool_wait_seconds)
            if self._record is None and not self._interrupted:
                self._until = self._deadline

    async def _finish(self, result: pb.Result, *, output_expired: bool = False) -> Execution:
        self.over = True
        execution, rest = self._gatherer.finish(result, output_expired=output_expired)
        await self._tell(self._session.desk.end() + rest)
        return execution

    async def _tell(self, pieces: list[StreamEvent]) -> None:
        for piece in pieces:
            try:
                await self._tell_caller(piece)
            except BaseException:
                self.told_badly = True
                raise

    async def _recover(self, broken: StreamBrokenError) -> None:
        """Attach again while the code is under way, and find out what became of it."""
        session = self._session
        if session.closing:
            raise await self._lost(session.closed_error(""))
        if self._sent and isinstance(broken.error, NotStartedError):
            raise broken.error  # a one-shot that was opened and then refused
        if isinstance(broken.error, SessionLostError):
            raise await self._lost(broken.error)
        while True:
            try:
                await self._session.reattach(self._deadline)
            except SessionLostError as error:
                raise await self._lost(error) from error
            except SandboxError as error:
                raise self._in_doubt(error) from error
            try:
                return await self._reconcile()
            except StreamBrokenError:
                continue

    async def _reconcile(self) -> None:
        """Ask what became of the execution, on a session that is attached again.

        Raises:
            NotStartedError: the daemon has no record of it.
            StreamBrokenError: the connection failed again.
        """
        try:
            record = await self._session.ask(self._execute.execution_id)
        except SandboxError:
            return  # no answer is no proof: go on collecting, up to the deadline
        if record is not None:
            if record.state == pb.EXECUTION_STATE_FINISHED:
                self._record = record
                self._until = self._deadline.at_most(REPLAY_SECONDS)
        elif self._may_send:
            await self._send()
        else:
            raise NotStartedError(
                "EXECUTION_NOT_FOUND",
                "The daemon has no record of it: the code never reached it, and nothing ran.",
                remedy="Run it again.",
            )

    async def _interrupt_late(self) -> None:
        """The daemon itself should have ended it: perhaps it still waits for its turn there. It has a last second."""
        self._interrupted = True
        self._until = Deadline(ABANDON_SECONDS)
        await self._session.interrupt()

    async def _overdue(self) -> Execution:
        """Nothing came in time: take the record, after one last question."""
        session = self._session
        record = self._record or await self._ask_quietly()
        if record is None or record.state != pb.EXECUTION_STATE_FINISHED:
            await session.drop_stream()
            raise self._in_doubt(None)
        for event in record.events:
            if not session.seen(event):
                await self._tell(self._gatherer.add(event))
        return await self._finish(record.result, output_expired=record.output_expired)

    async def _ask_quietly(self) -> pb.GetExecutionResponse | None:
        try:
            return await self._session.ask(self._execute.execution_id)
        except (StreamBrokenError, SandboxError):
            return None

    async def _lost(self, error: SessionLostError) -> SessionLostError:
        """Add to the error what the log knows of this execution."""
        if not (self._session.ended() or self._session.closing):
            record = await self._ask_quietly()
            if record is not None and record.state == pb.EXECUTION_STATE_FINISHED:
                error.execution = execution_from_log(record)
        return error

    def _in_doubt(self, cause: SandboxError | None) -> InDoubtError:
        error = InDoubtError(
            cause.code if cause else ClientCode.DEADLINE_EXCEEDED,
            f"It is not known what became of the execution: {cause.message}"
            if cause
            else "The execution's deadline, its grace and a margin are over, and no result came.",
            remedy="Ask with get_execution(error.execution_id); do not run it again unless that is harmless.",
        )
        error.execution_id = self._execute.execution_id
        return error
