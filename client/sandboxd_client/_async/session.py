"""The client's end of one session: its stream, opening, re-attaching, asking what became of an execution."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import grpc
from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client import _embedded
from sandboxd_client._backend_async import Turn, sleep
from sandboxd_client._channel import Deadline, StreamBrokenError, listening
from sandboxd_client._status import error_from_info, error_from_rpc
from sandboxd_client.errors import ClientCode, FaultError, NotStartedError, SandboxError, SessionLostError

from .tool_desk import AsyncToolDesk

if TYPE_CHECKING:
    from sandboxd_client._backend_async import Connection, SessionStream

ASK_SECONDS = 2.0
CLOSE_SECONDS = 5.0
ATTACH_SECONDS = 10.0
"""How long one attempt to attach may take, and all of them for a session where nothing is under way."""
GONE_SECONDS = 3.0
"""How long nobody may listen at the address: a restarted daemon, which can tell us more, is back by then."""

PASSING = frozenset({"SESSION_BUSY", "DRAINING", ClientCode.DEADLINE_EXCEEDED})
"""Refusals to attach that time may heal: the daemon has not yet noticed that the older stream broke."""


class AsyncSession:
    """One session on one daemon. It is opened once and attached to again when its stream broke.

    Mutable state: `_stream`, `opened` and receiving belong to whoever holds `turn` (one execution, open or
    close at a time); `_last_sequence` is what to attach after; `running` names the execution for
    `interrupt`, which may come from anywhere, as may a close, which sets `closing` first.
    """

    def __init__(self, connection: Connection, address: str) -> None:
        self.connection = connection
        self.turn = Turn()
        self.opened = pb.Opened()
        self.running = ""
        self.closing = False
        self.routing: pb.Verdict | None = None  # why a one-shot was opened under another policy
        self._address = address
        self._stream: SessionStream | None = None
        self._answering: SessionStream | None = None  # the stream, once the session is open on it
        self.desk = AsyncToolDesk(self._answer, self._wake)
        self._last_sequence = 0
        self._request_ids = itertools.count(1)
        self._pid = os.getpid()

    async def open(self, wanted: pb.Open, deadline: Deadline) -> None:
        """Open the session.

        Raises:
            SandboxError: refused (its code says why), or NotStartedError for a daemon that is not there.
        """
        try:
            self.opened = await self._handshake(pb.SessionRequest(open=wanted), deadline)
        except StreamBrokenError as broken:
            raise broken.error or self.unreachable_error() from None

    async def open_run(self, request: pb.RunRequest, deadline: Deadline) -> None:
        """Open the session of a one-shot. Its stream brings the events of its execution and takes no requests.

        Raises:
            StreamBrokenError: the stream ended without an answer, or with the daemon's refusal.
            SandboxError: no answer in time.
        """
        self._stream = self.connection.run_stream(request)
        self.opened = await self._await_opened(0, deadline)

    async def attach(self, deadline: Deadline) -> None:
        """Attach to the session again, with a new stream.

        Raises:
            StreamBrokenError: the connection failed again.
            SandboxError: refused.
        """
        attach = pb.Attach(session_id=self.opened.session_id, after_sequence=self._last_sequence)
        try:
            self.opened = await self._handshake(pb.SessionRequest(attach=attach), deadline)
        except StreamBrokenError as broken:
            raise broken.error or broken from None
        await self.desk.answer_again()

    async def reattach(self, deadline: Deadline) -> None:
        """Attach again, until the deadline.

        Raises:
            SessionLostError: the session or its daemon is gone.
            SandboxError: the deadline passed, or the daemon refused for a reason that does not pass.
        """
        pause = 0.02
        heard = Deadline(GONE_SECONDS)
        while True:
            if self.ended():
                raise self.lost_error()
            try:
                await self.attach(deadline.at_most(ATTACH_SECONDS))
            except StreamBrokenError:
                error: SandboxError = self.unreachable_error()
            except SandboxError as refusal:
                if refusal.code not in PASSING:
                    raise
                error = refusal
            else:
                return
            if self.listening():
                heard = Deadline(GONE_SECONDS)
            elif heard.passed() or deadline.passed():
                raise self.lost_error()
            if deadline.passed():
                raise error
            await sleep(min(pause, deadline.remaining()))
            pause = min(2 * pause, 1.0)

    async def request(self, request: pb.SessionRequest, answer: str, deadline: Deadline) -> pb.SessionEvent:
        """Ask something beside an execution, and wait for the event that answers it.

        Raises:
            StreamBrokenError: the stream ended first.
            TimeoutError: no answer before the deadline.
            SandboxError: refused, or the session ended.
        """
        request_id = await self.send(request)
        while True:
            event = await self.receive(deadline)
            kind = event.WhichOneof("event")
            if kind == "closed":
                raise self.closed_error(event.closed.reason)
            if event.request_id != request_id:
                continue  # left over from an execution that was abandoned
            if kind == "refused":
                raise error_from_info(event.refused.error, event.refused.retry_after_seconds)
            if kind == answer:
                return event

    async def _handshake(self, request: pb.SessionRequest, deadline: Deadline) -> pb.Opened:
        """Begin a new stream with this request and wait for its Opened."""
        await self.drop_stream()
        self._stream = self.connection.session_stream()
        try:
            opened = await self._await_opened(await self.send(request), deadline)
        except BaseException:
            await self.drop_stream()  # a stream without its Opened is of no use to anybody
            raise
        self._answering = self._stream
        return opened

    async def _await_opened(self, request_id: int, deadline: Deadline) -> pb.Opened:
        while True:
            try:
                event = await self.receive(deadline)
            except TimeoutError:
                raise FaultError(
                    ClientCode.DEADLINE_EXCEEDED, "The daemon did not open the session in time."
                ) from None
            kind = event.WhichOneof("event")
            if kind == "opened":
                return event.opened
            if kind == "verdict" and event.verdict.route_to:
                self.routing = event.verdict
            if kind == "refused" and event.request_id == request_id:
                raise error_from_info(event.refused.error, event.refused.retry_after_seconds)
            if kind == "closed":
                raise self.closed_error(event.closed.reason)

    async def send(self, request: pb.SessionRequest) -> int:
        """Send a request on the stream; return the id under which answers name it."""
        if self._stream is None:
            raise StreamBrokenError
        request.request_id = next(self._request_ids)
        await self._stream.send(request)
        return request.request_id

    async def receive(self, deadline: Deadline) -> pb.SessionEvent:
        """Return the stream's next event.

        Raises:
            StreamBrokenError: the stream ended.
            TimeoutError: none came before the deadline.
        """
        if self._stream is None:
            raise StreamBrokenError
        event = await self._stream.receive(deadline)
        self._last_sequence = max(self._last_sequence, event.sequence)
        return event

    async def _answer(self, result: pb.ToolResult) -> None:
        """Send a tool's answer. On a broken stream it is lost: the daemon sends the call again to the next one."""
        stream = self._answering
        if stream is not None:
            await stream.send(pb.SessionRequest(request_id=next(self._request_ids), tool_result=result))

    def _wake(self) -> None:
        """Make whoever receives look up."""
        stream = self._stream
        if stream is not None:
            stream.wake()

    def attached(self) -> bool:
        """Say whether the stream is there, as far as is known."""
        return self._stream is not None and not self._stream.broken

    def seen(self, event: pb.SessionEvent) -> bool:
        """Say whether an event was received before; mark it received."""
        if event.sequence and event.sequence <= self._last_sequence:
            return True
        self._last_sequence = max(self._last_sequence, event.sequence)
        return False

    async def ask(self, execution_id: str, seconds: float = ASK_SECONDS) -> pb.GetExecutionResponse | None:
        """Ask what became of an execution; None says that the daemon has no record of it.

        Raises:
            StreamBrokenError: the connection failed.
            SandboxError: the daemon refused to say.
        """
        request = pb.GetExecutionRequest(execution_id=execution_id)
        try:
            return await self.connection.sandbox.GetExecution(request, timeout=seconds)
        except grpc.RpcError as rpc_error:
            error = error_from_rpc(rpc_error)
        if error.code == "EXECUTION_NOT_FOUND":
            return None
        if error.code in {ClientCode.UNREACHABLE, ClientCode.DEADLINE_EXCEEDED, ClientCode.CANCELLED}:
            raise StreamBrokenError(None)
        raise error

    async def interrupt(self) -> bool:
        """Interrupt the running execution; say whether there was one."""
        running = self.running
        if not running:
            return False
        try:
            await self.send(pb.SessionRequest(interrupt=pb.Interrupt(execution_id=running)))
        except StreamBrokenError:
            return False
        return True

    async def drop_stream(self) -> None:
        """End the stream but not the session: its lease runs from now on."""
        self._answering = None
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def aclose(self) -> None:
        """End the session and the connection, within seconds. Call it once."""
        self.closing = True
        if self._pid == os.getpid():
            deadline = Deadline(CLOSE_SECONDS + self.opened.grace_seconds)
            try:
                await self._say_close(deadline)
            finally:
                await self.drop_stream()
                await self.connection.aclose()

    async def leave(self) -> None:
        """End the connection but not the session: its lease runs. Call it once, or `aclose`."""
        self.closing = True
        await self.drop_stream()
        await self.connection.aclose()

    async def _say_close(self, deadline: Deadline) -> None:
        """Send Close and wait until the daemon says the box is gone; without an answer its lease ends it."""
        try:
            await self.interrupt()  # whoever runs code gives the turn back within the grace
            await self.send(pb.SessionRequest(close=pb.Close()))
            if await self.turn.take(deadline.remaining()):
                while (await self.receive(deadline)).WhichOneof("event") != "closed":
                    pass
        except (StreamBrokenError, TimeoutError):
            pass

    def ended(self) -> bool:
        """Say whether the daemon that held this session is a private one that has certainly ended."""
        return _embedded.ended(self._address)

    def listening(self) -> bool:
        """Say whether any daemon listens at the address."""
        return listening(self._address)

    def closed_error(self, reason: str) -> SessionLostError:
        """Return the error for a session that was ended: by its owner, an operator, its lease or a fault."""
        if self.closing:
            return SessionLostError(ClientCode.CLOSED, "The sandbox was closed.")
        return SessionLostError(
            "SESSION_LOST",
            f"The daemon ended the session: {reason or 'no reason given'}.",
            remedy="Open a new one.",
        )

    def lost_error(self) -> SessionLostError:
        """Return the error for a daemon that is gone."""
        return SessionLostError(
            ClientCode.DAEMON_ENDED,
            "The daemon that held the session has ended: its variables and files are gone.",
            remedy="Open a new sandbox.",
        )

    def unreachable_error(self) -> SandboxError:
        """Return the error for an address where no daemon answers, or one hangs up before a word: it says no reason then."""
        if self.listening():
            return NotStartedError(
                ClientCode.UNREACHABLE,
                f"A daemon listens at {self._address} and takes no more connections of this user.",
                remedy="Close other clients or raise its max_connections, which counts per user; it may also be stopping.",
            )
        return NotStartedError(
            ClientCode.UNREACHABLE,
            f"No daemon answers at {self._address}.",
            remedy="Is it running (`sandboxd serve`)? Without an address the client starts a private one.",
        )
