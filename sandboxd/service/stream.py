"""The session stream: requests in, events out, for as long as a client looks on.

Two tasks a stream: one reads requests, one writes events. Neither owns the execution, so either may end:
what runs goes on, its events wait in the session's ring, and a later stream takes them up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.service.convert import event_messages, open_wish, opened_message, rolls_back, seconds
from sandboxd.service.tools import tool_answer, tool_specs
from sandboxd.sessions import ExecuteWish, Refusal, desk

if TYPE_CHECKING:
    from sandboxd.service.context import Context
    from sandboxd.service.peer import PeerNames
    from sandboxd.sessions import Feed, Session, Sessions

_FIRST_REQUEST_SECONDS = 30.0
# A stream that has asked so often without a pause is read on after one: its flood took the loop from all others for seconds.
_AT_ONCE, _AT_ONCE_SECONDS, _PAUSE_SECONDS = 64, 0.02, 0.01


class SessionStream:
    """One stream of one client."""

    def __init__(self, sessions: Sessions, peers: PeerNames, context: Context) -> None:
        self._sessions = sessions
        self._peers = peers
        self._context = context

    async def serve(self) -> None:
        """Open or attach, then serve until client or session end.

        Raises:
            SandboxdError: what opening or attaching raises.
        """
        try:
            async with asyncio.timeout(_FIRST_REQUEST_SECONDS):
                first = await self._read()
        except TimeoutError:
            raise _unexpected(f"Nothing was asked within {_FIRST_REQUEST_SECONDS:g} s.") from None
        if first is None:
            return
        session, feed = await self._begin(first)
        try:
            await self._context.write(
                pb.SessionEvent(request_id=first.request_id, opened=opened_message(session))
            )
            await self._converse(session, feed)
        finally:
            session.detach(feed)

    async def _begin(self, first: pb.SessionRequest) -> tuple[Session, Feed]:
        # Only now: a call that ends before its client's first write fails there without the reason.
        uid = self._peers.uid(self._context)
        kind = first.WhichOneof("request")
        if kind == "open":
            session = await self._sessions.open(uid, open_wish(first.open))
            return session, session.attach(0)
        if kind == "attach":
            session = self._sessions.find(uid, first.attach.session_id)
            return session, session.attach(first.attach.after_sequence)
        raise _unexpected("The first request of a stream must be open or attach.")

    async def _converse(self, session: Session, feed: Feed) -> None:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(self._requests(session, feed))
            await write_feed(feed, self._context)
            reader.cancel()
        if feed.ended:
            await self._context.write(pb.SessionEvent(closed=pb.Closed(reason=feed.ended)))

    async def _requests(self, session: Session, feed: Feed) -> None:
        pace = _Pace()
        while (request := await self._read()) is not None:
            try:
                self._dispatch(session, feed, request)
            except SandboxdError as error:
                feed.answer(request.request_id, _execution_id(request), Refusal(error))
            await feed.room()
            await pace.keep()
        session.finish(feed)

    def _dispatch(self, session: Session, feed: Feed, request: pb.SessionRequest) -> None:
        kind = request.WhichOneof("request")
        if not session.shows(feed):
            # Its client attached elsewhere: what is still under way here must not start behind the newer stream's back.
            raise superseded()
        if kind == "execute":
            self._sessions.execute(session, execute_wish(request.request_id, request.execute), feed)
        elif kind == "interrupt":
            session.interrupt(request.interrupt.execution_id)
        elif kind == "close":
            self._sessions.begin_close(session, "closed by its client", "client")
        elif kind == "renew":
            renewed = self._sessions.renew(session, seconds(request.renew.lease_seconds))
            feed.answer(request.request_id, "", renewed)
        elif not (
            self._branch(kind, session, feed, request) or _dispatch_tools(kind, session, feed, request)
        ):
            raise _unexpected("A stream begins with open or attach, and only begins with those.")

    def _branch(self, kind: str | None, session: Session, feed: Feed, request: pb.SessionRequest) -> bool:
        """Begin what needs the idle session; False when it is none of that."""
        branching, number = self._sessions.branching, request.request_id
        if kind == "fork":
            branching.fork(session, request.fork.count, number, feed)
        elif kind == "checkpoint":
            branching.checkpoint(session, request.checkpoint.name, number, feed)
        elif kind == "rollback":
            branching.rollback(session, request.rollback.name, number, feed)
        elif kind == "drop_checkpoint":
            branching.drop(session, request.drop_checkpoint.name, number, feed)
        else:
            return False
        return True

    async def _read(self) -> pb.SessionRequest | None:
        request = await self._context.read()
        return None if request is grpc.aio.EOF else request


class _Pace:
    """Lets a stream's requests through as fast as anybody has a use for, and no faster."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = 0.0
        self._count = 0

    async def keep(self) -> None:
        """Count a request; wait where there were many in a short time."""
        self._count += 1
        if self._count < _AT_ONCE:
            return
        now = self._loop.time()
        if now - self._began < _AT_ONCE_SECONDS:
            await asyncio.sleep(_PAUSE_SECONDS)
            now = self._loop.time()
        self._began, self._count = now, 0


def _dispatch_tools(kind: str | None, session: Session, feed: Feed, request: pb.SessionRequest) -> bool:
    """Do what concerns tools; False when it is none of that."""
    number = request.request_id
    if kind == "tool_result":
        result = request.tool_result
        desk.take_result(session, feed, number, result.call_id, tool_answer(result))
    elif kind == "set_tools":
        desk.set_tools(session, feed, number, tool_specs(request.set_tools.tools))
    elif kind == "call_tool":
        call = request.call_tool
        desk.call_directly(
            session, feed, number, call_id=call.call_id, tool=call.tool, arguments=call.arguments_json
        )
    else:
        return False
    return True


async def write_feed(feed: Feed, context: Context) -> None:
    """Write a feed's events until it ends."""
    while items := await feed.take():
        for message in event_messages(items):
            await context.write(message)


def execute_wish(request_id: int, message: pb.Execute) -> ExecuteWish:
    """Read what a client asks to run."""
    return ExecuteWish(
        request_id,
        message.execution_id,
        message.code,
        seconds(message.timeout_seconds),
        rollback_on_error=rolls_back(message.on_error),
    )


def _execution_id(request: pb.SessionRequest) -> str:
    kind = request.WhichOneof("request")
    if kind == "execute":
        return request.execute.execution_id[:64]
    return request.interrupt.execution_id[:64] if kind == "interrupt" else ""


def superseded() -> SandboxdError:
    """Return the refusal for a stream whose client attached to the session elsewhere."""
    return SandboxdError(
        Code.SESSION_NOT_FOUND,
        "The session was attached elsewhere.",
        remedy="Use the newer stream.",
        failure=FailureClass.NOT_STARTED,
    )


def _unexpected(message: str) -> SandboxdError:
    return SandboxdError(
        Code.INVALID_REQUEST, message, remedy="See the wire contract.", failure=FailureClass.NOT_STARTED
    )
