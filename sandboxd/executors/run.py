"""One execution in a box of the process tier: from the clocks' start to a truthful result."""

from __future__ import annotations

from sandboxd.events import Display, Evidence, Limits, Outcome, ProgramError, Result, Usage
from sandboxd.executors.base import Job, Sink
from sandboxd.executors.guest import Claim, GuestLink
from sandboxd.executors.link import Link
from sandboxd.executors.output import OutputGate
from sandboxd.launcher import protocol

_SOURCES = {
    "timeout_wall": "deadline",
    "timeout_cpu": "cpu clock",
    "output_limit": "output",
    "crashed": "control channel",
}


class Run:
    """A running job. What the launcher measured decides the outcome; the guest's claim fills in the rest."""

    def __init__(
        self, link: Link, box: int, number: int, *, guest: GuestLink, limits: Limits, sink: Sink
    ) -> None:
        self._link = link
        self._box = box
        self._number = number
        self._guest = guest
        self._sink = sink
        self._gate = OutputGate(limits.output_bytes, sink, lambda: self.interrupt("output_limit", ""))
        self._death: protocol.GuestDied | None = None
        self._lost = ""

    async def go(self, job: Job) -> Result:
        """Start the clocks, send the cell, wait for its end."""
        self._link.tell(protocol.Begin(self._box, self._number, job.deadline_seconds))
        claim = await self._guest.run(
            job.execution_id,
            job.code,
            name=f"snippet-{self._number}",
            on_output=self._gate.feed,
            on_display=self._show,
        )
        if claim is not None:
            self._guest.drain()
            self._guest.rest()
            return await self._finished(claim)
        return self._died()

    def _show(self, display: Display) -> None:
        self._sink(display)

    def interrupt(self, cause: str, code: str) -> None:
        """Ask the launcher to end this execution."""
        self._link.tell(protocol.Interrupt(self._box, self._number, cause, code))

    def died(self, message: protocol.GuestDied) -> None:
        """The interpreter is gone; `message` says why."""
        self._death = message
        self._guest.drain()
        self._guest.rest()
        self._guest.abandon()

    def lost(self, reason: str) -> None:
        """The whole box is gone."""
        self._lost = reason
        self._guest.abandon()

    # ---- results --------------------------------------------------------------------------------------------

    async def _finished(self, claim: Claim) -> Result:
        request = protocol.End(self._link.number(), self._box, self._number)
        ended, _ = await self._link.ask(request, protocol.Ended)
        death = self._death
        if death is not None:
            # It claimed a result and died at once: what was measured went with the death, and the variables too.
            ended = protocol.Ended(ended.request, death.cause, death.code, death.usage, death.limits_hit)
        outcome, evidence = _outcome(claim, ended)
        lost = death is not None
        return self._result(
            outcome,
            evidence,
            ended.usage,
            ended.limits_hit,
            claim=claim,
            error=claim.error,
            variables_lost=lost,
        )

    def _died(self) -> Result:
        death = self._death
        if death is None:
            evidence = Evidence("launcher", "SESSION_LOST", self._lost)
            return self._result(Outcome.INFRASTRUCTURE, evidence, {}, [], variables_lost=True)
        if death.execution != self._number:  # it died before the clocks started: stop them
            self._link.tell(protocol.End(0, self._box, self._number))
        error = None
        if not death.cause:
            error = ProgramError("ProcessExit", f"The program ended its interpreter ({death.code}).", "", 0)
        outcome = Outcome(death.cause) if death.cause else Outcome.ERROR
        evidence = Evidence(death.source, death.code, death.detail)
        return self._result(
            outcome, evidence, death.usage, death.limits_hit, error=error, variables_lost=True
        )

    def _result(
        self,
        outcome: Outcome,
        evidence: Evidence,
        usage: dict[str, object],
        limits_hit: list[str],
        *,
        claim: Claim | None = None,
        error: ProgramError | None = None,
        variables_lost: bool = False,
    ) -> Result:
        dropped = self._gate.finish()
        return Result(
            outcome=outcome,
            evidence=evidence,
            text=claim.text if claim is not None else None,
            error=error,
            usage=_usage(usage, self._gate.total_bytes),
            limits_hit=tuple(limits_hit),
            final_answer=claim.final if claim is not None else None,
            stdout_dropped_bytes=dropped["stdout"],
            stderr_dropped_bytes=dropped["stderr"],
            variables_lost=variables_lost,
        )


def _outcome(claim: Claim, ended: protocol.Ended) -> tuple[Outcome, Evidence]:
    if ended.cause:
        return Outcome(ended.cause), Evidence(_SOURCES.get(ended.cause, "request"), ended.code, "interrupted")
    if claim.ok:
        return Outcome.OK, Evidence("guest")
    if claim.error is not None and claim.error.name == "MemoryError":
        # Only the guest saw RLIMIT_AS refuse memory; its word is marked as such.
        return Outcome.OOM, Evidence("guest", "MemoryError", "address space limit")
    return Outcome.ERROR, Evidence("guest", claim.error.name if claim.error is not None else "")


def _usage(measured: dict[str, object], output_bytes: int) -> Usage:
    sources = {**measured.get("sources", {}), "output_bytes": "daemon"}  # type: ignore[dict-item]
    figures = {name: value for name, value in measured.items() if name != "sources"}
    return Usage(**figures, output_bytes=output_bytes, sources=sources)  # type: ignore[arg-type]
