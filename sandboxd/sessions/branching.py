"""Fork, checkpoint and rollback of an open session, each with its record in the log.

Each is done by `Session.undertake`: alone, for the stream that looks on, and to its end also when that stream goes. A clone
is a session like any other from the moment it is listed: it has its own token, lease and stream. So clones whose client died
while they were made end with their leases. What they share is the tree: its memory reservation, its outer limits, and the
moment at which it ends however much it is used, or a chain of forks would live for ever.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.sessions.answers import Checkpointed, Forked, RolledBack

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxd.executors.base import Box
    from sandboxd.identity import SessionIds
    from sandboxd.log import Log
    from sandboxd.quota import Reservation
    from sandboxd.sessions.facts import Facts
    from sandboxd.sessions.feed import Feed
    from sandboxd.sessions.registry import Sessions
    from sandboxd.sessions.session import Session

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CLONES_MAX = 256
"""At once: their answer is one message. `forks` of the policy bounds how many there may be."""


class Branching:
    """What sessions can do with their past and their clones. It holds no state of its own."""

    def __init__(self, sessions: Sessions, ids: SessionIds, log: Log, clock: Callable[[], float]) -> None:
        self._sessions = sessions
        self._ids = ids
        self._log = log
        self._clock = clock

    def fork(self, session: Session, count: int, request_id: int, feed: Feed) -> None:
        """Clone a session: all clones are made, or an error and nothing.

        Raises:
            SandboxdError: INVALID_REQUEST, FORK_LIMIT, DRAINING, SESSION_BUSY, SESSION_LOST; what comes later goes to the
            feed.
        """
        if not 1 <= count <= _CLONES_MAX:
            raise _invalid(f"A fork makes 1 to {_CLONES_MAX} clones.", "Fork again for more.")
        most = session.facts.limits.forks
        if count > most:  # here already: to take places for them could cost another client its own
            raise SandboxdError(
                Code.FORK_LIMIT,
                f"{count} clones are more than the {most} clones and checkpoints that a session tree may have.",
                remedy="Ask for fewer; the policy's limits.forks sets the number.",
            )
        self._sessions.check_draining()
        session.undertake(request_id, feed, lambda: self._fork(session, count))

    def checkpoint(self, session: Session, name: str, request_id: int, feed: Feed) -> None:
        """Keep a session as it is now, under a name. Raises as `fork`."""
        _check_name(name)
        self._sessions.check_draining()
        session.undertake(request_id, feed, lambda: self._checkpoint(session, name))

    def rollback(self, session: Session, name: str, request_id: int, feed: Feed) -> None:
        """Bring a session back to a checkpoint. Raises as `fork`, but for DRAINING."""
        _check_name(name)
        session.undertake(request_id, feed, lambda: self._rollback(session, name))

    def drop(self, session: Session, name: str, request_id: int, feed: Feed) -> None:
        """Let a checkpoint go. Raises as `rollback`."""
        _check_name(name)
        session.undertake(request_id, feed, lambda: self._drop(session, name))

    async def _fork(self, session: Session, count: int) -> Forked:
        places: list[Reservation] = []
        try:
            for _ in range(count):
                places.append(session.reservation.share())  # noqa: PERF401  # those taken are given back
            boxes = await session.box.fork(count)
        except BaseException:
            for place in places:
                place.release()
            raise
        clones = tuple(self._clone(session, *pair) for pair in zip(boxes, places, strict=True))
        names = [clone.facts.display_id for clone in clones]
        self._record("session_forked", session, clones=names)
        if self._sessions.draining:  # the drain began meanwhile, and has not seen them
            for clone in clones:
                await self._sessions.close(clone, "the daemon drains", "shutdown")
            self._sessions.check_draining()
        return Forked(clones)

    def _clone(self, session: Session, box: Box, place: Reservation) -> Session:
        token, display_id = self._ids.mint()
        facts: Facts = dataclasses.replace(
            session.facts,
            token=token,
            display_id=display_id,
            lease_seconds=session.lease_seconds,
            created_at_seconds=self._clock(),
            forked_from=session.facts.display_id,
        )
        seconds = session.lifetime.remaining_seconds()
        clone = self._sessions.admit(facts, box, place, seconds, session.tools.clone(display_id))
        clone.names = session.names.copy()
        return clone

    async def _checkpoint(self, session: Session, name: str) -> Checkpointed:
        await session.box.checkpoint(name)
        self._record("checkpointed", session, name=name)
        return Checkpointed(session.checkpoints())

    async def _rollback(self, session: Session, name: str) -> RolledBack:
        _check_there(session, name)
        await session.box.rollback(name)
        self._record("rolled_back", session, name=name, by="client")
        return RolledBack(name)

    async def _drop(self, session: Session, name: str) -> Checkpointed:
        _check_there(session, name)
        await session.box.drop_checkpoint(name)
        self._record("checkpoint_dropped", session, name=name)
        return Checkpointed(session.checkpoints())

    def _record(self, kind: str, session: Session, **what: str | list[str]) -> None:
        self._log.after(kind, {"session": session.facts.display_id, "uid": session.facts.uid, **what})


def _check_name(name: str) -> None:
    """Hold a checkpoint's name to its alphabet: what is outside of it is the daemon's own."""
    if _NAME.fullmatch(name) is None:
        raise _invalid(
            "A checkpoint's name has 1 to 64 characters of A-Z, a-z, 0-9, _, . and -.", "Rename it."
        )


def _check_there(session: Session, name: str) -> None:
    names = [kept for kept, _ in session.checkpoints()]
    if name not in names:
        raise SandboxdError(
            Code.CHECKPOINT_NOT_FOUND,
            f"The session has no checkpoint {name}: it was never made, was dropped, or was destroyed from inside.",
            remedy=f"It has: {', '.join(names) or 'none'}.",
        )


def _invalid(message: str, remedy: str) -> SandboxdError:
    return SandboxdError(Code.INVALID_REQUEST, message, remedy=remedy, failure=FailureClass.NOT_STARTED)
