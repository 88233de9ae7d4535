"""All open sessions: who may have one, who it answers to, and how it ends.

A session ends by its client, its lease, an operator, the loss of its box, or the daemon's end. Whoever asks
first, one task closes it; others wait for that task. A session is looked up by its token and answers to the
user id that opened it: to anybody else it does not exist.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.sessions.branching import Branching
from sandboxd.sessions.ended import Ended, lost
from sandboxd.sessions.facts import Facts
from sandboxd.sessions.session import Session
from sandboxd.sessions.wishes import check_labels
from sandboxd.tools import Broker, Caller, Rules
from sandboxd.tools import read as read_tools
from sandboxd.undo import SafetyNet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandboxd.events import Limits
    from sandboxd.executors.base import Box
    from sandboxd.identity import SessionIds
    from sandboxd.isolate import Isolation
    from sandboxd.log import Executions, JsonValue, Log
    from sandboxd.pipeline import Pipeline
    from sandboxd.policy import Policy, PolicySet
    from sandboxd.quota import Admission, Reservation
    from sandboxd.sessions.answers import Renewed
    from sandboxd.sessions.facts import ExecuteWish
    from sandboxd.sessions.feed import Feed
    from sandboxd.sessions.wishes import Life, OpenWish, Terms
    from sandboxd.tools import Tool

_logger = logging.getLogger(__name__)
_LEAVING_MAX = 4
_LEAVE_SECONDS = 0.003
"""How long a one-shot's sandbox outlives it: to take it down at once would compete with its answer for the processor."""
_STOP_MARGIN_SECONDS = 1.0
_UNDERTAKING_SECONDS = 5.0
"""How long the end of a session waits for a fork or rollback: their own bounds in the box are shorter."""
_DRAIN_RETRY_SECONDS = 5.0


class Sessions:
    """Opens, finds and closes sessions. All state belongs to the event loop."""

    def __init__(
        self,
        *,
        group: asyncio.TaskGroup,
        ids: SessionIds,
        policies: PolicySet,
        isolation: Isolation,
        admission: Admission,
        pipeline: Pipeline,
        executions: Executions,
        log: Log,
        terms: Terms,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.draining = False
        self._group = group
        self._ids = ids
        self._policies = policies
        self._isolation = isolation
        self._admission = admission
        self._pipeline = pipeline
        self._executions = executions
        self._log = log
        self._terms = terms
        self._clock = clock
        self.branching = Branching(self, ids, log, clock)
        self._open: dict[str, Session] = {}
        self._leaving = 0
        self._due: dict[Session, tuple[str, str]] = {}  # of those that leave in a moment: why, and by whom
        self._ended = Ended()

    def all(self) -> list[Session]:
        """List the open sessions."""
        return list(self._open.values())

    def owned(self, uid: int, labels: Mapping[str, str]) -> list[Session]:
        """List the open sessions of a user that have all these labels."""
        return [
            session
            for session in self._open.values()
            if session.facts.uid == uid
            and not session.leaves
            and labels.items() <= session.facts.labels.items()
        ]

    def renew(self, session: Session, lease_seconds: float) -> Renewed:
        """Start a session's lease again, with another length unless that is 0.

        Raises:
            SandboxdError: LIMIT_ABOVE_POLICY.
        """
        return session.renew(self._terms.lease(lease_seconds))

    async def open(self, uid: int, wish: OpenWish) -> Session:
        """Open a session under a policy.

        Raises:
            SandboxdError: DRAINING, INVALID_REQUEST, POLICY_*, LIMIT_ABOVE_POLICY, QUOTA_*, and what opening
            a
                box raises; the class is NOT_STARTED.
        """
        self.check_draining()
        check_labels(wish.labels)
        life = self._terms.life(wish)
        policy = self._policies.get(wish.policy)
        limits = policy.narrow(wish.limits)
        tools = read_tools(wish.tools)
        reservation = await self._reserve(limits.memory_bytes)
        try:
            return await self._open_reserved(uid, wish, policy, limits, life, reservation, tools)
        except BaseException:
            reservation.release()
            raise

    def admit(  # what a session is made of
        self, facts: Facts, box: Box, reservation: Reservation, seconds: float, tools: Broker
    ) -> Session:
        """Make a session of a box, with so many seconds to live."""

        def record(kind: str, cause: str, execution_id: str) -> None:
            ids: dict[str, JsonValue] = {"session": facts.display_id, "execution_id": execution_id}
            self._log.after(kind, {**ids, "uid": facts.uid, "by": cause})

        per_snippet = facts.policy.checkpoint_per_snippet
        session = Session(
            facts,
            box,
            reservation,
            pipeline=self._pipeline,
            group=self._group,
            tools=tools,
            net=SafetyNet(box, per_snippet=per_snippet, record=record),
            on_expired=self._expired,
        )
        session.lifetime.run(seconds)
        self._open[facts.display_id] = session
        box.on_lost(lambda reason: self._lost(session, reason))
        return session

    async def _reserve(self, memory_bytes: int) -> Reservation:
        """Take a place and memory; what has only its last moment left ends first, where it holds them.

        Raises:
            SandboxdError: QUOTA_SESSIONS, QUOTA_MEMORY.
        """
        try:
            return self._admission.reserve(memory_bytes)
        except SandboxdError:
            for session, (reason, actor) in list(self._due.items()):
                self.begin_close(session, reason, actor)
            closing = [one.closing for one in self.all() if one.closing is not None]
            if not closing:
                raise
            await asyncio.wait(closing, timeout=_STOP_MARGIN_SECONDS)
        return self._admission.reserve(memory_bytes)

    def find(self, uid: int, token: str) -> Session:
        """Find the session of a token, for its owner.

        Raises:
            SandboxdError: SESSION_NOT_FOUND, SESSION_LOST.
        """
        display_id = self._ids.verify(token)
        session = self._open.get(display_id)
        if session is not None and session.facts.uid == uid and not session.leaves:
            return session
        if session is not None and session.facts.uid == uid:
            raise lost(display_id, session.ends_because)
        raise self._ended.refusal(display_id, uid)

    def named(self, display_id: str) -> Session:
        """Find a session by its display id, for an operator.

        Raises:
            SandboxdError: SESSION_NOT_FOUND.
        """
        session = self._open.get(display_id)
        if session is None:
            raise SandboxdError(
                Code.SESSION_NOT_FOUND, f"No session {display_id!r} is open.", remedy="List the sessions."
            )
        return session

    def get(self, display_id: str) -> Session | None:
        """Find an open session by its display id."""
        return self._open.get(display_id)

    def execute(self, session: Session, wish: ExecuteWish, feed: Feed) -> None:
        """Start a snippet in a session; a repeated id is answered also while the daemon drains.

        Raises:
            SandboxdError: DRAINING, and what `Session.execute` raises.
        """
        if self.draining and not session.knows(wish.execution_id):
            self.check_draining()
        session.execute(wish, feed)

    def flying(self, uid: int, execution_id: str) -> Session | None:
        """Find the session in which an execution was accepted and has not ended, also when it only waits."""
        for session in self._open.values():
            flight = session.flight
            if (
                flight is not None
                and flight.snippet.execution_id == execution_id
                and session.facts.uid == uid
            ):
                return session
        return None

    def check_draining(self) -> None:
        """Refuse new work while the daemon drains.

        Raises:
            SandboxdError: DRAINING.
        """
        if self.draining:
            raise SandboxdError(
                Code.DRAINING,
                "The daemon drains and takes no new work.",
                remedy="Use another daemon, or come back when it has restarted.",
                failure=FailureClass.NOT_STARTED,
                retry_after_seconds=_DRAIN_RETRY_SECONDS,
            )

    def leave(self, session: Session, reason: str, actor: str) -> asyncio.Task[None] | None:
        """End a session in a moment, when its client has its last result; at once where many are on their way out.

        Returns the task that closes it, for its caller to wait for, in the second case: a caller in a loop would find
        all places taken by what it has left behind.
        """
        session.leaving = True
        if self._leaving >= _LEAVING_MAX:
            return self.begin_close(session, reason, actor)
        self._leaving += 1
        self._due[session] = reason, actor
        asyncio.get_running_loop().call_later(_LEAVE_SECONDS, self._left, session, reason, actor)
        return None

    def _left(self, session: Session, reason: str, actor: str) -> None:
        self._due.pop(session, None)
        closing = self.begin_close(session, reason, actor)
        closing.add_done_callback(lambda _: self._count_out())

    def _count_out(self) -> None:
        self._leaving -= 1

    async def close(self, session: Session, reason: str, actor: str) -> None:
        """End a session and wait until nothing of it is left. Idempotent; goes on without its caller."""
        await asyncio.shield(self.begin_close(session, reason, actor))

    def begin_close(self, session: Session, reason: str, actor: str) -> asyncio.Task[None]:
        """Start to end a session: the task that does it, one a session."""
        if session.closing is None:
            session.ends_because = reason
            session.closing = self._group.create_task(self._close(session, reason, actor))
            session.lease.cancel()
            session.lifetime.cancel()
        return session.closing

    def close_after_execution(self, session: Session, reason: str, actor: str) -> None:
        """End a session once its execution has come to its own end."""
        if session.task is None:
            self.begin_close(session, reason, actor)
        else:
            session.task.add_done_callback(lambda _: self.begin_close(session, reason, actor))

    async def drain(self, drain_seconds: float) -> None:
        """Refuse new work and wait for the executions that run."""
        self.draining = True
        running = [session.task for session in self._open.values() if session.task is not None]
        if running:
            await asyncio.wait(running, timeout=drain_seconds)

    async def close_all(self, reason: str, actor: str) -> None:
        """End every session."""
        self.draining = True
        closing = [self.begin_close(session, reason, actor) for session in self.all()]
        if closing:
            await asyncio.wait(closing)

    async def _open_reserved(  # noqa: PLR0917  # the steps of `open`, one caller
        self,
        uid: int,
        wish: OpenWish,
        policy: Policy,
        limits: Limits,
        life: Life,
        reservation: Reservation,
        tools: Mapping[str, Tool],
    ) -> Session:
        token, display_id = self._ids.mint()
        box = await self._isolation.open(policy, limits, display_id, fresh=wish.fresh)
        now = self._clock()
        facts = Facts(
            token=token,
            display_id=display_id,
            uid=uid,
            policy=policy,
            limits=limits,
            labels=dict(wish.labels),
            lease_seconds=life.lease_seconds,
            idle_seconds=life.idle_seconds,
            executor=policy.executor,
            created_at_seconds=now,
            expires_at_seconds=now + life.lifetime_seconds,
        )
        session = self.admit(
            facts, box, reservation, life.lifetime_seconds, self._broker(facts, wish.moved_from, tools)
        )
        self._log.after(
            "session_opened",
            {"session": display_id, "uid": uid, "policy": policy.name, "policy_digest": policy.digest},
        )
        _logger.info("session opened", extra={"session": display_id, "uid": uid, "policy": policy.name})
        if self.draining:  # the drain began while the box opened, and has not seen this session
            await self.close(session, "the daemon drains", "shutdown")
            self.check_draining()
        return session

    def _broker(self, facts: Facts, moved_from: tuple[str, ...], tools: Mapping[str, Tool]) -> Broker:
        policies = (facts.policy, *map(self._policies.get, moved_from))
        caller = Caller(facts.display_id, facts.uid, facts.policy.name)
        return Broker(caller, [Rules.of(policy) for policy in policies], facts.limits, self._log, tools)

    def _expired(self, session: Session, which: str) -> None:
        idle = "idle: " if which == "lease" and session.state == "idle" else ""
        self.begin_close(session, f"{idle}its {which} ended", which)

    def _lost(self, session: Session, reason: str) -> None:
        if session.closing is None:
            _logger.warning("box lost", extra={"session": session.facts.display_id, "reason": reason})
            self.begin_close(session, f"its box was lost ({reason})", "loss")

    async def _close(self, session: Session, reason: str, actor: str) -> None:
        names = {"session": session.facts.display_id, "reason": reason}
        try:
            await self._stop_execution(session, actor)
            if session.undertaking is not None:
                await asyncio.wait({session.undertaking}, timeout=_UNDERTAKING_SECONDS)
            await session.box.close()
        except Exception:
            _logger.exception("closing a session failed", extra=names)
        session.tools.close()
        for task in (session.task, session.undertaking):
            if task is not None:  # not even the end of its box ended it
                task.cancel()
                await asyncio.wait({task}, timeout=_STOP_MARGIN_SECONDS)
        session.end_feed(reason)
        session.reservation.release()
        del self._open[session.facts.display_id]
        self._ended.remember(session.facts, reason)
        self._executions.forget_texts(session.facts.display_id)
        self._log.after("session_closed", {**names, "uid": session.facts.uid, "by": actor})
        _logger.info("session closed", extra=names)

    async def _stop_execution(self, session: Session, actor: str) -> None:
        if session.flight is None or session.task is None:
            return
        session.flight.stop(actor)
        grace_seconds = session.facts.limits.grace_seconds
        await asyncio.wait({session.task}, timeout=grace_seconds + _STOP_MARGIN_SECONDS)
