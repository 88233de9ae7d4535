"""One session: a box with variables, one execution at a time, and at most one stream that looks on.

The mutable state is the flight in the air, the feed and the lease; all of it belongs to the event loop, no
lock.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING, Any, Self

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import Output, Result, Verdict
from sandboxd.pipeline import Flight, Snippet
from sandboxd.screen.tools import SessionNames
from sandboxd.sessions.answers import Renewed
from sandboxd.sessions.ended import lost
from sandboxd.sessions.facts import ExecuteWish, Facts, State, check_timeout
from sandboxd.sessions.feed import Feed
from sandboxd.sessions.lease import Lease
from sandboxd.sessions.ring import EventRing, Refusal
from sandboxd.tools import Turn
from sandboxd.undo import BEFORE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from sandboxd.executors.base import Box
    from sandboxd.log import Record
    from sandboxd.pipeline import Pipeline
    from sandboxd.quota import Reservation
    from sandboxd.sessions.answers import Answer
    from sandboxd.sessions.ring import RingEvent
    from sandboxd.tools import Broker
    from sandboxd.undo import SafetyNet

_logger = logging.getLogger(__name__)
_EXECUTION_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Session:
    """A box and its owner's view on it. Made by `Sessions.open`, ended by `Sessions.close`."""

    def __init__(
        self,
        facts: Facts,
        box: Box,
        reservation: Reservation,
        *,
        pipeline: Pipeline,
        group: asyncio.TaskGroup,
        tools: Broker,
        net: SafetyNet,
        on_expired: Callable[[Session, str], None],
    ) -> None:
        self.facts = facts
        self.tools = tools
        self.box = box
        self.reservation = reservation
        self.names = SessionNames(tools.specs)
        self.ring = EventRing(facts.limits.output_bytes)
        self.executions = 0
        self.uploads = asyncio.Lock()
        self.closing: asyncio.Task[None] | None = None
        self.leaving = False  # `closing` follows in a moment
        self.ends_because = "it is closing"
        self.flight: Flight | None = None
        self.task: asyncio.Task[None] | None = None
        self.undertaking: asyncio.Task[None] | None = (
            None  # what needs the idle interpreter: a fork, a rollback
        )
        self.lease_seconds = facts.lease_seconds
        self._net = net
        self._shown: Snippet | None = None  # whose events the ring has
        self._request_id = 0
        self._asker: Feed | None = None  # the stream that asked for the flight
        self._pipeline = pipeline
        self._group = group
        self._feed: Feed | None = None
        self._users = 0  # file operations under way
        self.lease = Lease(lambda: on_expired(self, "lease"))
        self.lifetime = Lease(lambda: on_expired(self, "lifetime"))
        self._renew()

    @property
    def leaves(self) -> bool:
        """Tell whether the session is on its way out: to clients it is gone."""
        return self.leaving or self.closing is not None

    @property
    def state(self) -> State:
        """Tell what the session does."""
        if self.flight is not None or self.undertaking is not None:
            return State.RUNNING
        return State.DETACHED if self._feed is None else State.IDLE

    def attach(self, after_sequence: int) -> Feed:
        """Show the session to a stream. One that looked on before ends: its client came back elsewhere."""
        if self._feed is not None:
            self._feed.end("attached elsewhere")
        self._feed = Feed(self.ring, after_sequence)
        self._renew()
        return self._feed

    def shows(self, feed: Feed) -> bool:
        """Tell whether this is the stream that looks on: an older one has no say any more."""
        return feed is self._feed

    def detach(self, feed: Feed) -> None:
        """Let a stream go; from now the lease runs, or when the execution ends."""
        if feed is self._feed:
            self._feed = None
            self._renew()

    def finish(self, feed: Feed) -> None:
        """Let the stream end when nothing runs: its client asks nothing more."""
        feed.half_closed = True
        if self.flight is None and self.undertaking is None:
            feed.end("")

    def end_feed(self, reason: str) -> None:
        """End the stream that looks on, if any."""
        if self._feed is not None:
            self._feed.end(reason)

    def knows(self, execution_id: str) -> bool:
        """Tell whether an id is the running or the last execution's: a repeat that needs no new work."""
        flying = self.flight is not None and self.flight.snippet.execution_id == execution_id
        return flying or (self._shown is not None and self._shown.execution_id == execution_id)

    def execute(self, wish: ExecuteWish, feed: Feed) -> None:
        """Start a snippet, or answer a repeated id from the ring. Events come by the ring.

        Raises:
            SandboxdError: INVALID_REQUEST, LIMIT_ABOVE_POLICY, SESSION_BUSY, SESSION_LOST,
            EXECUTION_ID_REUSED.
        """
        snippet = self._snippet(wish)
        for known in (self._shown, self.flight.snippet if self.flight is not None else None):
            if known is not None and known.execution_id == wish.execution_id:
                self._repeat(known, snippet, wish.request_id, feed)
                return
        self._check_idle()
        self.lease.hold()
        self.tools.renew_direct()
        port = Turn(self.tools, snippet.execution_id, self._emit)
        self.flight = Flight(snippet, self._net, self.tools.guest_json, port)
        self._request_id, self._asker = wish.request_id, feed
        self.task = self._group.create_task(self._fly(self.flight))

    def undertake(self, request_id: int, feed: Feed, work: Callable[[], Awaitable[Answer]]) -> None:
        """Do what needs the idle interpreter, alone: beside it nothing runs and nothing is uploaded.

        It goes on when its stream ends; the answer is for that stream.

        Raises:
            SandboxdError: SESSION_BUSY, SESSION_LOST.
        """
        self._check_idle()
        self.undertaking = self._group.create_task(self._undertake(request_id, feed, work))

    def renew(self, lease_seconds: float) -> Renewed:
        """Start the lease again, with another length unless that is 0."""
        self.lease_seconds = lease_seconds or self.lease_seconds
        self._renew()
        return Renewed(time.time() + self.remaining_seconds())

    def remaining_seconds(self) -> float:
        """Tell how long the session lives when nothing more is asked of it: never longer than its lifetime."""
        lifetime = self.lifetime.remaining_seconds()
        return lifetime if self.lease.deadline is None else min(self.lease.remaining_seconds(), lifetime)

    def checkpoints(self) -> tuple[tuple[str, float], ...]:
        """List the client's own checkpoints, oldest first."""
        return tuple(point for point in self.box.checkpoints() if point[0] != BEFORE)

    def interrupt(self, execution_id: str, actor: str = "client") -> None:
        """Stop the execution; one that has just ended is no error.

        Raises:
            SandboxdError: EXECUTION_NOT_FOUND.
        """
        if self.flight is not None and execution_id in {"", self.flight.snippet.execution_id}:
            self.flight.stop(actor)
        elif self._shown is None or execution_id not in {"", self._shown.execution_id}:
            raise SandboxdError(
                Code.EXECUTION_NOT_FOUND, "No such execution runs here.", remedy="Check the execution id."
            )

    def aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside what runs; it outlives the stream that asked for it. What goes wrong in it is logged."""
        self._group.create_task(self._do_aside(work))

    async def _do_aside(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            _logger.exception("work beside an execution failed", extra={"session": self.facts.display_id})

    def __enter__(self) -> Self:
        """Keep the session while a file operation uses it."""
        if self.leaves:
            raise lost(self.facts.display_id, self.ends_because)
        self._users += 1
        self.lease.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        self._renew()

    def _check_idle(self) -> None:
        if self.leaves:
            raise lost(self.facts.display_id, self.ends_because)
        if self.flight is None and self.undertaking is None:
            return
        doing = f"runs {self.flight.snippet.execution_id}" if self.flight else "is forked or taken back"
        raise SandboxdError(
            Code.SESSION_BUSY,
            f"Session {self.facts.display_id} {doing}.",
            remedy="Wait for its result, or interrupt it; another session runs beside it.",
            failure=FailureClass.NOT_STARTED,
        )

    async def _undertake(self, request_id: int, feed: Feed, work: Callable[[], Awaitable[Answer]]) -> None:
        answer: Answer | Refusal = Refusal(
            SandboxdError(Code.INTERNAL, "The daemon failed.", remedy="Its log tells why.")
        )
        try:
            with self:
                async with self.uploads:
                    answer = await work()
        except SandboxdError as error:
            answer = Refusal(error)
        except Exception:
            _logger.exception("fork or rollback failed", extra={"session": self.facts.display_id})
        finally:
            self.undertaking = None
            feed.answer(request_id, "", answer)
            self._end_half_closed()

    async def _fly(self, flight: Flight) -> None:
        try:
            end = await self._pipeline.run(flight, self.box, self._emit)
        except SandboxdError as error:
            self._refuse(error)
        except Exception:
            _logger.exception("snippet failed before its start", extra={"session": self.facts.display_id})
            self._refuse(SandboxdError(Code.INTERNAL, "The daemon failed.", remedy="Its log tells why."))
        else:
            self._end(flight, end)
        finally:
            self.flight = self.task = self._asker = None
            self._end_half_closed()
            self._renew()

    def _end_half_closed(self) -> None:
        if self._feed is not None and self._feed.half_closed:
            self._feed.end("")

    def _refuse(self, error: SandboxdError) -> None:
        """Tell that nothing was started; the id is free again, so a repeat is new work and no replay."""
        self._emit(Refusal(error))
        self._shown = None

    def _emit(self, event: RingEvent) -> None:
        assert self.flight is not None
        if self._shown is not self.flight.snippet:
            self._show(self.flight.snippet)
        self.ring.append(event)
        if self._feed is None:
            return
        if isinstance(event, (Verdict, Output)):
            self._feed.wake_soon()
        else:
            self._feed.wake()

    def _show(self, snippet: Snippet) -> None:
        """Make room for a snippet's events: only with its first one may those of the last be forgotten."""
        if self._feed is not None:
            self._feed.keep()
            self._feed.request_id = self._request_id if self._feed is self._asker else 0
        self._shown = snippet
        self.ring.begin(snippet.execution_id)

    def _end(self, flight: Flight, end: Result | Record) -> None:
        if isinstance(end, Result):
            self.executions += 1
        elif self._feed is not None:
            request_id = self._request_id if self._feed is self._asker else 0
            self._feed.answer(request_id, flight.snippet.execution_id, _answer(end))

    def _repeat(self, known: Snippet, snippet: Snippet, request_id: int, feed: Feed) -> None:
        """Answer an id that this session still has before it: with its events, from the first one."""
        if snippet.source_sha256 != known.source_sha256:
            raise SandboxdError(
                Code.EXECUTION_ID_REUSED,
                f"Execution {snippet.execution_id} was another source.",
                remedy="Make a new id for each snippet.",
                failure=FailureClass.NOT_STARTED,
            )
        if self.flight is not None and self.flight.snippet is known:
            self._request_id, self._asker = request_id, feed
        if self._shown is known:
            feed.rewind(request_id)

    def _snippet(self, wish: ExecuteWish) -> Snippet:
        if _EXECUTION_ID.fullmatch(wish.execution_id) is None:
            raise SandboxdError(
                Code.INVALID_REQUEST,
                "An execution id has 8 to 64 characters of A-Z, a-z, 0-9, _ and -.",
                remedy="Make one with uuid4().hex.",
                failure=FailureClass.NOT_STARTED,
            )
        wall = self.facts.limits.wall_seconds
        check_timeout(wish.timeout_seconds, wall)
        return Snippet(
            execution_id=wish.execution_id,
            uid=self.facts.uid,
            session=self.facts.display_id,
            code=wish.code,
            policy=self.facts.policy,
            deadline_seconds=wish.timeout_seconds or wall,
            rollback_on_error=wish.rollback_on_error,
            names=self.names,
            denial=wish.denial,
        )

    def _renew(self) -> None:
        """Start the lease again, where nothing holds the session."""
        if self.closing is not None or self.flight is not None or self._users:
            self.lease.hold()
        elif self._feed is not None:
            self.lease.run(self.facts.idle_seconds)
        else:
            self.lease.run(self.lease_seconds)


def _answer(record: Record) -> RingEvent:
    """Answer a repeated id whose output is gone: from the record."""
    if record.result is not None:
        return record.result
    return Refusal(
        SandboxdError(
            Code.SESSION_BUSY,
            f"Execution {record.intent.execution_id} runs.",
            remedy="Ask GetExecution for its end.",
            failure=FailureClass.IN_DOUBT,
        )
    )
