"""The one way of a snippet, from text to recorded outcome. There is no second way in.

Theory of operation
===================

Every snippet, from every client and adapter, passes `Pipeline.run`:

    text -> screen -> admission -> intent in the log -> box.execute -> result -> outcome in the log

1. **Screen.** The verdict comes from killable workers outside this process and is a filter, never the
   boundary. It has no side effect, so it stands first: a snippet that will not run takes no slot. Anything
   but "allow" and "warn" ends here, an unknown decision too, and "route": a box has one policy, and what
   is to run under another one is sent there before its box opens (`sandboxd.routing`).
2. **Admission.** A bounded number runs, a bounded number waits in turn, the rest is refused. It stands before
   the intent so that a refusal is NOT_STARTED in the full sense: nothing was written, the same execution id
   may come again. Who asks meanwhile what became of the id hears "running": the session's `Flight` is known
   from acceptance on.
3. **Intent.** `Executions.begin` is where at-most-once is decided. When it returns None the record is as
   durable as the daemon promises, and only then may anything start. When it returns a record the id is a
   repeat: nothing starts, the record answers. When it raises, nothing starts.
4. **Execute.** The box is the boundary and holds the deadline. What the program does is a result; what the
   tier cannot do is mapped to `infrastructure(code)`. What is to be taken back on an error has a checkpoint from
   before the intent, and is back there before its result goes out (`sandboxd.undo`).
5. **Result and outcome.** From the moment `begin` returned None exactly one outcome is recorded, whatever
   happens: result, refusal of the tier, a bug, a stop by client or operator, cancellation of the task. The
   result goes out first, in the turn of the loop before: no outcome delays a result. Only death of the
   process leaves none; the next start then writes `infrastructure(DAEMON_RESTARTED)` from the log.

A snippet that was denied, or does not parse, is recorded by the same pair of records with no start between.

A stop (`Flight.stop`) may come at any time. Before the intent it ends the wait; between intent and start it
is honoured without a start; after it the box interrupts and kills.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Decision, Display, Evidence, Outcome, Output, Result, Usage, Verdict
from sandboxd.executors.base import Job
from sandboxd.log import Intent, Record
from sandboxd.screen import PASSING, syntax_error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxd.executors.base import Box, ToolPort
    from sandboxd.log import Executions
    from sandboxd.policy import Policy
    from sandboxd.quota import Admission
    from sandboxd.routing import Router
    from sandboxd.screen.tools import SessionNames
    from sandboxd.undo import SafetyNet

_logger = logging.getLogger(__name__)

Emit: TypeAlias = "Callable[[Verdict | Output | Display | Result], None]"
"""Takes what a snippet emits, its result last, at once and without blocking."""

_SHUTDOWN = Result(
    Outcome.KILLED,
    Evidence(source="daemon", code="shutdown", detail="the daemon stopped"),
    variables_lost=True,
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """One source text that a caller wants to run, with everything that decides about it."""

    execution_id: str
    uid: int
    session: str  # display id
    code: str
    policy: Policy
    deadline_seconds: float
    rollback_on_error: bool = False
    source_sha256: str = field(init=False)
    names: SessionNames | None = field(default=None, repr=False, compare=False)
    """The session's tools, for the screen: its calls are checked before anything runs."""
    denial: Verdict | None = field(default=None, repr=False, compare=False)
    """What the screen said of it already: only a denial needs no second look."""

    def __post_init__(self) -> None:
        digest = hashlib.sha256(self.code.encode("utf-8", "surrogatepass")).hexdigest()
        object.__setattr__(self, "source_sha256", digest)


class Flight:
    """A snippet on its way. How far it got and who stopped it is the mutable state, the loop's own."""

    __slots__ = ("_box", "_port", "_task", "_tools_json", "net", "snippet", "stopped_by")

    def __init__(
        self, snippet: Snippet, net: SafetyNet, tools_json: str = "", port: ToolPort | None = None
    ) -> None:
        self.snippet = snippet
        self.net = net
        self._tools_json, self._port = tools_json, port
        self.stopped_by = ""
        self._box: Box | None = None
        self._task: asyncio.Task[object] | None = None

    def stop(self, actor: str) -> None:
        """End the snippet wherever it is; the first actor is the one recorded."""
        if self.stopped_by:
            return
        self.stopped_by = actor
        if self._box is not None:
            self._box.cancel(actor)
        elif self._task is not None:
            self._task.cancel()

    async def wait_in(self, admission: Admission) -> bool:
        """Wait for a slot; False when the flight was stopped meanwhile, and then no slot is held."""
        if self.stopped_by:
            return False
        self._task = asyncio.current_task()
        try:
            await admission.enter()
        except asyncio.CancelledError:
            if not self.stopped_by or self._task is None or self._task.uncancel() > 0:
                raise  # the daemon's own cancellation, not ours alone
            return False
        finally:
            self._task = None
        return True

    async def fly(self, box: Box, program: bytes, emit: Emit) -> Result:
        """Run in the box, `program` instead of the text where there is one; a stop before the start is honoured."""
        if self.stopped_by:
            return _stopped(self.stopped_by)
        snippet = self.snippet
        if (
            snippet.policy.restricted and not program
        ):  # an interpreter that replaced another would take either kind
            raise SandboxdError(Code.INTERNAL, "plain text came to a session that is restricted; nothing ran")
        self._box = box
        try:
            job = Job(
                snippet.execution_id,
                snippet.code,
                snippet.deadline_seconds,
                program,
                self._tools_json,
                self._port,
            )
            return await box.execute(job, emit)
        finally:
            self._box = None
            if self._port is not None:
                self._port.finish()  # again where the box did: not every end comes from there


class Pipeline:
    """Takes each snippet through screen, admission, log and box."""

    def __init__(self, *, router: Router, admission: Admission, executions: Executions) -> None:
        self._router = router
        self._admission = admission
        self._executions = executions
        self.outcomes: Counter[Outcome] = Counter()

    async def run(self, flight: Flight, box: Box, emit: Emit) -> Result | Record:
        """Run a snippet to its recorded end. A `Record` says: a repeated id, nothing was started.

        Raises:
            SandboxdError: a refusal before the intent (QUOTA_QUEUE, FORK_*, EXECUTION_ID_REUSED, LOG_FULL,
            LOG_FAILED).
        """
        snippet = flight.snippet
        names = snippet.names
        verdict = await self._screened(snippet)
        ended = _without_running(verdict, snippet.code)
        if ended is not None:
            return await self._recorded(flight, verdict, emit, ended)
        if names is not None:
            names.take(verdict.binds)
        if not await flight.wait_in(self._admission):
            return await self._recorded(flight, verdict, emit, _stopped(flight.stopped_by))
        try:
            async with flight.net.under(snippet):
                return await self._recorded(flight, verdict, emit, box)
        finally:
            self._admission.leave()

    async def _screened(self, snippet: Snippet) -> Verdict:
        """Return the screen's verdict. A text that hung a screener is not given to the next one for the same answer."""
        if snippet.denial is not None and snippet.denial.decision is Decision.DENY:
            return snippet.denial
        signatures = snippet.names.signatures if snippet.names is not None else None
        return await self._router.check(snippet.code, snippet.policy, signatures=signatures)

    async def _recorded(
        self, flight: Flight, verdict: Verdict, emit: Emit, end: Box | Result
    ) -> Result | Record:
        """Put the pair of records around the end: a result that stands already, or a run in the box."""
        snippet = flight.snippet
        repeated = await self._executions.begin(_intent(snippet))
        if repeated is not None:
            return repeated
        result = _SHUTDOWN  # stands when this task is cancelled below
        try:
            result = await self._ended(flight, verdict, emit, end)
            if not isinstance(end, Result):
                result = await flight.net.settle(snippet, result)
            emit(result)
            await asyncio.sleep(0)  # the result is on its way before anything that nobody waits for
        finally:
            if not isinstance(end, Result):
                end.rest()
            self._finish(snippet, result)
        return result

    async def _ended(self, flight: Flight, verdict: Verdict, emit: Emit, end: Box | Result) -> Result:
        """Run the snippet; whatever went wrong, say so in its result."""
        try:
            emit(verdict)
            return end if isinstance(end, Result) else await flight.fly(end, verdict.program, emit)
        except SandboxdError as error:
            return infrastructure(error.code, error.message)
        except Exception:
            _logger.exception("execution failed", extra=_names(flight.snippet))
            return infrastructure(Code.INTERNAL, "the daemon failed; its log tells why")

    def _finish(self, snippet: Snippet, result: Result) -> None:
        self.outcomes[result.outcome] += 1
        try:
            self._executions.finish(snippet.execution_id, result)
        except SandboxdError as error:
            # The log takes nothing more, so nothing runs any more; the result that exists still reaches its
            # client.
            _logger.error("outcome not recorded: %s", error.code, extra=_names(snippet))  # noqa: TRY400


def infrastructure(code: Code, detail: str) -> Result:
    """Say that the fault is ours, and which."""
    return Result(Outcome.INFRASTRUCTURE, Evidence(source="daemon", code=code.value, detail=detail))


def _without_running(verdict: Verdict, code: str) -> Result | None:
    """Tell the result of a snippet that will not run, None of one that may."""
    if verdict.decision in PASSING:
        return None
    error = syntax_error_of(verdict, code)
    if error is not None:
        return Result(Outcome.ERROR, Evidence(source="screen", code=error.name), error=error, usage=Usage())
    # Findings stand in the order of the text, and one that would be routed explains no denial.
    denying = [finding for finding in verdict.findings if finding.action == "deny"]
    worst = next(iter(denying or verdict.findings), None)
    detail = worst.message if worst else ""
    if verdict.route_to:
        detail = f"route to policy {verdict.route_to}: {detail}"
    return Result(
        Outcome.DENIED,
        Evidence(source="screen", code=worst.rule if worst else verdict.decision.value, detail=detail),
    )


def _stopped(actor: str) -> Result:
    """Tell the result of a snippet that was stopped before it started."""
    outcome = Outcome.CANCELLED if actor == "client" else Outcome.KILLED
    return Result(outcome, Evidence(source="daemon", code=actor, detail="stopped before it started"))


def _intent(snippet: Snippet) -> Intent:
    return Intent(
        execution_id=snippet.execution_id,
        uid=snippet.uid,
        session=snippet.session,
        source_sha256=snippet.source_sha256,
        policy=snippet.policy.name,
        policy_digest=snippet.policy.digest,
    )


def _names(snippet: Snippet) -> dict[str, str]:
    return {"session": snippet.session, "execution": snippet.execution_id}
