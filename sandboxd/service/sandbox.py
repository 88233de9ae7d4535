"""`SandboxService`: sessions, one-shots and look-up. Files are served by the class it extends."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.errors import SandboxdError
from sandboxd.service.convert import (
    event_message,
    open_wish,
    opened_message,
    result_message,
    routing_message,
    summary_message,
)
from sandboxd.service.files import FileService
from sandboxd.service.refusals import answering
from sandboxd.service.stream import SessionStream, execute_wish, superseded, write_feed
from sandboxd.sessions import Item, OneShot, route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sandboxd.log import Executions, Log, Record
    from sandboxd.policy import PolicySet
    from sandboxd.routing import Router
    from sandboxd.service.context import Context
    from sandboxd.service.peer import PeerNames
    from sandboxd.sessions import ExecuteWish, Feed, Sessions
    from sandboxd.sessions import Session as OpenSession  # within the class that name is an RPC

_EVENTS_MAX_BYTES = 3 << 20  # of one GetExecution answer; a re-attached stream has no such bound


class SandboxService(FileService):
    """Serves the callers of sandboxes."""

    def __init__(
        self,
        sessions: Sessions,
        executions: Executions,
        log: Log,
        peers: PeerNames,
        *,
        policies: PolicySet,
        router: Router,
    ) -> None:
        super().__init__(sessions, log, peers)
        self._executions = executions
        self._policies = policies
        self._router = router
        self._arrivals: list[tuple[int, pb.Execute]] = []

    async def Session(  # type: ignore[override]  # noqa: N802  # reads and writes by the context
        self, _requests: AsyncIterator[pb.SessionRequest], context: Context
    ) -> None:
        """Serve one session stream."""
        async with answering(context):
            await SessionStream(self._sessions, self._peers, context).serve()

    async def Run(  # type: ignore[override]  # noqa: N802  # writes by the context
        self, request: pb.RunRequest, context: Context
    ) -> None:
        """Open, execute, close. A client that leaves early leaves an execution that runs to its own end.

        The call ends with its result, and the sandbox a moment after it: see `Sessions.leave`.
        """
        async with answering(context):
            uid = self._peers.uid(context)
            with self._arriving(uid, request.execute):
                session, feed = await self._begun(uid, request, context)
            try:
                await write_feed(feed, context)
            except BaseException:
                self._sessions.close_after_execution(session, "its one run was left", "client")
                raise
            finally:
                session.detach(feed)
            if session.flight is not None:  # its client came back by another stream: that one gets the result
                self._sessions.close_after_execution(session, "its one run ended", "client")
                return
            closing = self._sessions.leave(session, "its one run ended", "client")
            if closing is not None:
                await asyncio.shield(closing)

    async def _begun(self, uid: int, request: pb.RunRequest, context: Context) -> tuple[OpenSession, Feed]:
        """Open a session under the policy that takes the code, and start the execution there."""
        shot = await self._routed(request)
        if shot.verdict is not None:
            await context.write(routing_message(shot))
        session = await self._sessions.open(uid, shot.opening)
        feed = session.attach(0)
        try:
            await context.write(pb.SessionEvent(opened=opened_message(session)))
            _begin(self._sessions, session, shot.execute, feed)
        except BaseException:
            self._sessions.close_after_execution(session, "its one run was left", "client")
            session.detach(feed)
            raise
        return session, feed

    @contextlib.contextmanager
    def _arriving(self, uid: int, execute: pb.Execute) -> Iterator[None]:
        """Know of a one-shot until its session does: while it is screened for its policy, and its sandbox opens."""
        self._arrivals.append((uid, execute))
        try:
            yield
        finally:
            self._arrivals.remove((uid, execute))

    async def _routed(self, request: pb.RunRequest) -> OneShot:
        """Find the policy under which a one-shot is to be opened."""
        self._sessions.check_draining()
        wanted = OneShot(open_wish(request.open), execute_wish(0, request.execute))
        return wanted if request.no_routing else await route(wanted, self._policies, self._router)

    async def ListOwn(self, request: pb.ListOwnRequest, context: Context) -> pb.ListOwnResponse:  # noqa: N802
        """List the caller's own sessions, by labels. Display ids only: the capability is its stream's."""
        async with answering(context):
            found = self._sessions.owned(self._peers.uid(context), dict(request.labels))
            return pb.ListOwnResponse(sessions=[summary_message(one) for one in found])
        raise AssertionError  # `answering` has raised

    async def GetExecution(  # noqa: N802
        self, request: pb.GetExecutionRequest, context: Context
    ) -> pb.GetExecutionResponse:
        """Tell what became of an execution."""
        async with answering(context):
            return self._execution(self._peers.uid(context), request.execution_id)
        raise AssertionError  # `answering` has raised

    def _execution(self, uid: int, execution_id: str) -> pb.GetExecutionResponse:
        try:
            record = self._executions.get(execution_id, uid)
        except SandboxdError:
            accepted = self._accepted(uid, execution_id)
            if accepted is None:
                raise
            return accepted
        message = _record_message(record)
        message.output_expired = not self._add_events(message, record)
        return message

    def _accepted(self, uid: int, execution_id: str) -> pb.GetExecutionResponse | None:
        """Tell of what waits for its policy, sandbox or turn: "not found" would let the client run it a second time."""
        answer = pb.GetExecutionResponse(execution_id=execution_id, state=pb.EXECUTION_STATE_RUNNING)
        flying = self._sessions.flying(uid, execution_id)
        if flying is not None and flying.flight is not None:
            answer.session_display_id = flying.facts.display_id
            answer.source_sha256 = flying.flight.snippet.source_sha256
            return answer
        for owner, execute in self._arrivals:
            if owner == uid and execute.execution_id == execution_id:
                answer.source_sha256 = hashlib.sha256(execute.code.encode()).hexdigest()
                return answer
        return None

    def _add_events(self, message: pb.GetExecutionResponse, record: Record) -> bool:
        """Add what the session still has; False when something of it is gone."""
        session = self._sessions.get(record.intent.session)
        if session is None or session.ring.execution_id != record.intent.execution_id:
            return record.result is None  # beginning, and nothing was emitted yet
        room = _EVENTS_MAX_BYTES
        for entry in session.ring.entries():
            event = event_message(Item(0, session.ring.execution_id, entry.sequence, entry.event))
            if event.HasField("result"):
                message.result.CopyFrom(event.result)  # with text and error, which the record has not
                continue
            room -= event.ByteSize()
            if room < 0:
                return False
            message.events.append(event)
        return True


def _begin(sessions: Sessions, session: OpenSession, wish: ExecuteWish, feed: Feed) -> None:
    """Start the execution of a one-shot."""
    if not session.shows(feed):
        # Its client came back by another stream and may have been told that nothing began: so nothing may.
        raise superseded()
    sessions.execute(session, wish, feed)
    session.finish(feed)


def _record_message(record: Record) -> pb.GetExecutionResponse:
    message = pb.GetExecutionResponse(
        execution_id=record.intent.execution_id,
        session_display_id=record.intent.session,
        source_sha256=record.intent.source_sha256,
        state=pb.EXECUTION_STATE_RUNNING if record.result is None else pb.EXECUTION_STATE_FINISHED,
        started_at_seconds=record.started_at_seconds,
        finished_at_seconds=record.finished_at_seconds or 0.0,
    )
    if record.result is not None:
        message.result.CopyFrom(result_message(record.result))
    return message
