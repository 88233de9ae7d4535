"""All open sessions: who may have one, who it answers to, and how it ends.

A session ends by its client, its lease, an operator, the loss of its box, or the daemon's end. Whoever asks
first, one task closes it; others wait for that task. A session is looked up by its token and answers to the
user id that opened it: to anybody else it does not exist.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.sessions.session import Facts, Session
from sandboxd.tools import Broker, Caller, Rules
from sandboxd.tools import read as read_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandboxd.events import Limits, ToolSpec
    from sandboxd.identity import SessionIds
    from sandboxd.isolate import Isolation
    from sandboxd.log import Executions, Log
    from sandboxd.pipeline import Pipeline
    from sandboxd.policy import Policy, PolicySet
    from sandboxd.quota import Admission, Reservation
    from sandboxd.sessions.feed import Feed
    from sandboxd.sessions.session import ExecuteWish
    from sandboxd.tools import Tool

_logger = logging.getLogger(__name__)
_LABELS_MAX = 32
_LABEL_CHARACTERS_MAX = 256
_ENDED_MAX = 1024
_LEAVING_MAX = 4
_LEAVE_SECONDS = 0.003
"""How long a one-shot's sandbox outlives it: to take it down at once would compete with its answer for the processor."""
_STOP_MARGIN_SECONDS = 1.0
_DRAIN_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class OpenWish:
    """What a client asks of a new session, within the policy. `lease_seconds` 0 is the default."""

    policy: str = ""
    limits: Mapping[str, float | int | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    lease_seconds: float = 0.0
    fresh: bool = False
    tools: tuple[ToolSpec, ...] = ()
    moved_from: tuple[str, ...] = ()  # policies that a one-shot came from: what they say of tools holds on


@dataclass(frozen=True, slots=True)
class Terms:
    """How long sessions live."""

    lease_seconds: float
    max_lease_seconds: float
    idle_seconds: float


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
        self._open: dict[str, Session] = {}
        self._leaving = 0
        self._ended: OrderedDict[str, tuple[int, str]] = OrderedDict()  # why the latest ones are gone

    def all(self) -> list[Session]:
        """List the open sessions."""
        return list(self._open.values())

    async def open(self, uid: int, wish: OpenWish) -> Session:
        """Open a session under a policy.

        Raises:
            SandboxdError: DRAINING, INVALID_REQUEST, POLICY_*, LIMIT_ABOVE_POLICY, QUOTA_*, and what opening
            a
                box raises; the class is NOT_STARTED.
        """
        self.check_draining()
        _check_labels(wish.labels)
        lease_seconds = self._lease_seconds(wish)
        policy = self._policies.get(wish.policy)
        limits = policy.narrow(wish.limits)
        tools = read_tools(wish.tools)
        reservation = self._admission.reserve(limits.memory_bytes)
        try:
            return await self._open_reserved(uid, wish, policy, limits, lease_seconds, reservation, tools)
        except BaseException:
            reservation.release()
            raise

    def find(self, uid: int, token: str) -> Session:
        """Find the session of a token, for its owner.

        Raises:
            SandboxdError: SESSION_NOT_FOUND, SESSION_LOST.
        """
        display_id = self._ids.verify(token)
        session = self._open.get(display_id)
        if session is not None and session.facts.uid == uid and not session.leaves:
            return session
        owner, reason = self._ended.get(display_id, (None, ""))
        if session is not None and session.facts.uid == uid:
            owner, reason = uid, "it is closing"
        if owner == uid:
            raise SandboxdError(
                Code.SESSION_LOST,
                f"Session {display_id} is gone: {reason}.",
                remedy="Open a new session; variables and files of the old one are gone.",
                failure=FailureClass.SESSION_LOST,
                session=display_id,
            )
        raise SandboxdError(
            Code.SESSION_NOT_FOUND,
            "There is no such session.",
            remedy="Open a new session.",
            failure=FailureClass.SESSION_LOST,
        )

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
        asyncio.get_running_loop().call_later(_LEAVE_SECONDS, self._left, session, reason, actor)
        return None

    def _left(self, session: Session, reason: str, actor: str) -> None:
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
            session.closing = self._group.create_task(self._close(session, reason, actor))
            session.lease.cancel()
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
        lease_seconds: float,
        reservation: Reservation,
        tools: Mapping[str, Tool],
    ) -> Session:
        token, display_id = self._ids.mint()
        box = await self._isolation.open(policy, limits, display_id, fresh=wish.fresh)
        facts = Facts(
            token=token,
            display_id=display_id,
            uid=uid,
            policy=policy,
            limits=limits,
            labels=dict(wish.labels),
            lease_seconds=lease_seconds,
            idle_seconds=self._terms.idle_seconds,
            executor=policy.executor,
            created_at_seconds=self._clock(),
        )
        session = Session(
            facts, box, reservation, pipeline=self._pipeline, group=self._group,
            tools=self._broker(facts, wish, tools), on_expired=self._expired,
        )  # fmt: skip
        self._open[display_id] = session
        box.on_lost(lambda reason: self._lost(session, reason))
        self._log.after(
            "session_opened",
            {"session": display_id, "uid": uid, "policy": policy.name, "policy_digest": policy.digest},
        )
        _logger.info("session opened", extra={"session": display_id, "uid": uid, "policy": policy.name})
        if self.draining:  # the drain began while the box opened, and has not seen this session
            await self.close(session, "the daemon drains", "shutdown")
            self.check_draining()
        return session

    def _broker(self, facts: Facts, wish: OpenWish, tools: Mapping[str, Tool]) -> Broker:
        policies = (facts.policy, *map(self._policies.get, wish.moved_from))
        caller = Caller(facts.display_id, facts.uid, facts.policy.name)
        return Broker(caller, [Rules.of(policy) for policy in policies], facts.limits, self._log, tools)

    def _lease_seconds(self, wish: OpenWish) -> float:
        lease = wish.lease_seconds
        if not math.isfinite(lease) or not 0 <= lease <= self._terms.max_lease_seconds:
            raise SandboxdError(
                Code.LIMIT_ABOVE_POLICY,
                f"lease_seconds must be from 0 to {self._terms.max_lease_seconds:g}.",
                remedy="Ask for less, or raise max_lease_seconds.",
                failure=FailureClass.NOT_STARTED,
                limit="lease_seconds",
            )
        return lease or self._terms.lease_seconds

    def _expired(self, session: Session) -> None:
        idle = "" if session.state == "detached" else "idle: "
        self.begin_close(session, f"{idle}its lease ended", "lease")

    def _lost(self, session: Session, reason: str) -> None:
        if session.closing is None:
            _logger.warning("box lost", extra={"session": session.facts.display_id, "reason": reason})
            self.begin_close(session, f"its box was lost ({reason})", "loss")

    async def _close(self, session: Session, reason: str, actor: str) -> None:
        names = {"session": session.facts.display_id, "reason": reason}
        try:
            await self._stop_execution(session, actor)
            await session.box.close()
        except Exception:
            _logger.exception("closing a session failed", extra=names)
        session.tools.close()
        if session.task is not None:  # not even the end of its box ended it
            session.task.cancel()
            await asyncio.wait({session.task}, timeout=_STOP_MARGIN_SECONDS)
        session.end_feed(reason)
        session.reservation.release()
        del self._open[session.facts.display_id]
        self._remember(session, reason)
        self._executions.forget_texts(session.facts.display_id)
        self._log.after("session_closed", {**names, "uid": session.facts.uid, "by": actor})
        _logger.info("session closed", extra=names)

    async def _stop_execution(self, session: Session, actor: str) -> None:
        if session.flight is None or session.task is None:
            return
        session.flight.stop(actor)
        grace_seconds = session.facts.limits.grace_seconds
        await asyncio.wait({session.task}, timeout=grace_seconds + _STOP_MARGIN_SECONDS)

    def _remember(self, session: Session, reason: str) -> None:
        self._ended[session.facts.display_id] = (session.facts.uid, reason)
        if len(self._ended) > _ENDED_MAX:
            self._ended.popitem(last=False)


def _check_labels(labels: Mapping[str, str]) -> None:
    texts = (*labels, *labels.values())
    if len(labels) > _LABELS_MAX or any(len(text) > _LABEL_CHARACTERS_MAX for text in texts):
        raise SandboxdError(
            Code.INVALID_REQUEST,
            f"A session has at most {_LABELS_MAX} labels of {_LABEL_CHARACTERS_MAX} characters each side.",
            remedy="Send fewer or shorter labels.",
            failure=FailureClass.NOT_STARTED,
        )
