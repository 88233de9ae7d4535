"""One execution in a box of the process tier: from the clocks' start to a truthful result."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from sandboxd.errors import SandboxdError
from sandboxd.events import Display, Evidence, Limits, Outcome, ProgramError, Result, Usage
from sandboxd.executors.base import GuestCall, Job, Sink, ToolAnswer, ToolPort, ToolTally
from sandboxd.executors.clock import Clock
from sandboxd.executors.guest import Claim, GuestLink
from sandboxd.executors.link import Link
from sandboxd.executors.output import OutputGate
from sandboxd.launcher import protocol
from sandboxd.launcher.meter import Meter, Reading

NEAR_SECONDS = 0.05  # who ended that close to a limit may be interrupted all the same
_SOURCES = {
    "timeout_wall": "deadline",
    "timeout_cpu": "cpu clock",
    "output_limit": "output",
    "crashed": "control channel",
}


class Run:
    """A running job. What the launcher measured decides the outcome; the guest's claim fills in the rest."""

    def __init__(
        self, link: Link, box: int, number: int, *, guest: GuestLink, meter: Meter, limits: Limits, sink: Sink
    ) -> None:
        self._link = link
        self._box = box
        self._number = number
        self._guest = guest
        self._meter = meter
        self._sink = sink
        self._limits = limits
        self._gate = OutputGate(limits.output_bytes, sink, self._over)
        self._port: ToolPort | None = None
        self._clock = Clock(link, box, number)
        self._ending: protocol.Ending | None = None
        self.contested = False
        """Whether a signal to end it may still be on its way: `settle` before another execution begins."""
        self.wrote = True
        """Whether files may have changed, by the guest's word or for want of it."""
        self._death: protocol.GuestDied | None = None
        self._lost = ""

    async def go(self, job: Job) -> Result:
        """Start the clocks, send the cell, wait for its end."""
        before, started = self._read(self._meter.begin), time.monotonic()
        self._link.tell(
            protocol.Begin(
                self._box, self._number, job.deadline_seconds, before.counters(), self._meter.shared
            )
        )
        self._port = job.port
        if job.port is not None:
            job.port.begin(self._clock.stand)
        claim = await self._guest.run(
            job.execution_id, job.code, job.program, job.tools_json,
            name=f"snippet-{self._number}", on_output=self._gate.feed, on_display=self._show,
            on_call=self._called, on_drop=self._dropped,
        )  # fmt: skip
        if claim is None:
            return self._died()
        self.wrote = claim.wrote
        elapsed = time.monotonic() - started
        used = self._read(self._meter.read).since(before, elapsed)
        cpu_left = self._limits.cpu_seconds - (used.cpu_seconds or 0.0)
        if min(job.deadline_seconds - elapsed + self._clock.stood_seconds, cpu_left) < NEAR_SECONDS:
            self.contested = True
        # An interrupt, or a death, that stands behind this claim was told before it.
        self._link.hear()
        self._guest.drain()
        self._guest.rest()
        return self._finished(claim, used)

    def _read(self, counters: Callable[[], Reading]) -> Reading:
        try:
            return Reading() if self._lost else counters()
        except OSError:
            return Reading()  # the box went away meanwhile, and its cgroup with it: its loss is being told

    def _called(self, call: GuestCall) -> None:
        if self._port is None:
            self._guest.answer(
                ToolAnswer(call.number, error_code="TOOL_UNKNOWN", error_message="there are no tools here")
            )
        else:
            self._port.call(call, self._guest.answer)

    def _dropped(self, number: int) -> None:
        if self._port is not None:
            self._port.drop(number)

    def _show(self, display: Display) -> None:
        self._sink(display)

    def _over(self) -> None:
        """More was printed than the limit; also when the program has ended by itself meanwhile."""
        self._guest.slow_down()
        if self._ending is None:
            self.ending(protocol.Ending(self._box, self._number, "output_limit", ""))
        self.interrupt("output_limit", "")

    def ending(self, message: protocol.Ending) -> None:
        """The execution is made to end; the first cause stays."""
        if message.execution == self._number and self._ending is None:
            self._ending = message
            self.contested = True

    def interrupt(self, cause: str, code: str) -> None:
        """Ask the launcher to end this execution."""
        self.contested = True
        self._link.tell(protocol.Interrupt(self._box, self._number, cause, code))

    def rest(self) -> None:
        """Let the launcher stop the clocks, and the box."""
        self._link.tell(protocol.End(self._box, self._number))

    async def settle(self) -> None:
        """Wait until the launcher sends no more signals for this execution: they would hit the next one."""
        self.contested = False
        with contextlib.suppress(SandboxdError):  # it is gone, and its boxes with it
            end = protocol.End(self._box, self._number, self._link.number())
            await self._link.ask(end, protocol.Stopped)

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

    @property
    def dead(self) -> bool:
        """Tell whether its interpreter is gone."""
        return self._death is not None

    # ---- results --------------------------------------------------------------------------------------------

    def _finished(self, claim: Claim, used: Reading) -> Result:
        death, ending = self._death, self._ending
        if death is not None:
            # It claimed a result and died at once: what was measured went with the death, and the variables too.
            outcome, evidence = _outcome(claim, death.cause, death.code)
            return self._result(
                outcome, evidence, death.usage, death.limits_hit,
                claim=claim, error=claim.error, variables_lost=True,
            )  # fmt: skip
        cause, code = (ending.cause, ending.code) if ending is not None else ("", "")
        outcome, evidence = _outcome(claim, cause, code)
        return self._result(
            outcome, evidence, used.usage(), used.limits_hit(), claim=claim, error=claim.error
        )

    def _died(self) -> Result:
        death = self._death
        if death is None:
            evidence = Evidence("launcher", "SESSION_LOST", self._lost)
            return self._result(Outcome.INFRASTRUCTURE, evidence, {}, [], variables_lost=True)
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
        tools = self._port.finish() if self._port is not None else ToolTally()
        return Result(
            outcome=outcome,
            evidence=evidence,
            text=claim.text if claim is not None else None,
            error=error,
            usage=_usage(usage, self._gate.total_bytes, tools.calls if self._port is not None else None),
            limits_hit=(*limits_hit, "tool_calls") if tools.limit_hit else tuple(limits_hit),
            final_answer=claim.final if claim is not None else None,
            stdout_dropped_bytes=dropped["stdout"],
            stderr_dropped_bytes=dropped["stderr"],
            variables_lost=variables_lost,
            tool_calls=tools.uses,
            tool_calls_left_out=tools.left_out,
        )


def _outcome(claim: Claim, cause: str, code: str) -> tuple[Outcome, Evidence]:
    if cause:
        return Outcome(cause), Evidence(_SOURCES.get(cause, "request"), code, "interrupted")
    if claim.ok:
        return Outcome.OK, Evidence("guest")
    if claim.error is not None and claim.error.name == "MemoryError":
        # Only the guest saw RLIMIT_AS refuse memory; its word is marked as such.
        return Outcome.OOM, Evidence("guest", "MemoryError", "address space limit")
    return Outcome.ERROR, Evidence("guest", claim.error.name if claim.error is not None else "")


def _usage(measured: dict[str, object], output_bytes: int, tool_calls: int | None) -> Usage:
    sources = {**measured.get("sources", {}), "output_bytes": "daemon"}  # type: ignore[dict-item]
    if tool_calls is not None:
        sources["tool_calls"] = "daemon"
    figures = {name: value for name, value in measured.items() if name != "sources"}
    return Usage(**figures, output_bytes=output_bytes, tool_calls=tool_calls, sources=sources)  # type: ignore[arg-type]
