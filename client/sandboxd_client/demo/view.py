"""Shows the run on a terminal, or in a log: plain lines."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, TextIO

from sandboxd_client.agent.events import (
    AgentEvent,
    CodeParsed,
    ExecutionFinished,
    ModelStarted,
    ParseFailed,
    RunStarted,
)
from sandboxd_client.agent.text import clip, inert
from sandboxd_client.results import Outcome

if TYPE_CHECKING:
    from sandboxd_client.results import Execution

_MAX_CHARACTERS = 1500
_MAX_LINES = 20


class View:
    """Writes what happens. What the model and the sandbox said is escaped: it could drive the terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, text: str = "") -> None:
        """Write a line of our own."""
        self._out.write(text + "\n")
        self._out.flush()

    def event(self, event: AgentEvent) -> None:
        """Write what an event tells."""
        match event:
            case RunStarted():
                self.say(f"Agent: model {inert(event.model)}, policy {event.policy}")
            case ModelStarted():
                self.say(f"\nStep {event.step}")
            case CodeParsed():
                self._quote("  ", event.thought)
                self._quote("  | ", event.code)
            case ParseFailed():
                self.say(f"  no code in the reply ({event.problem.code})")
            case ExecutionFinished():
                self._execution(event.execution)
            case _:
                pass

    def _execution(self, execution: Execution) -> None:
        seconds = execution.usage.wall_seconds
        took = f" in {seconds:.2f} s" if seconds is not None else ""
        self.say(f"  -> {execution.outcome}{took}")
        if execution.outcome is Outcome.DENIED and execution.verdict:
            for finding in execution.verdict.findings:
                self._quote(
                    "  > ", f"line {finding.line}, column {finding.column}: {finding.message} {finding.hint}"
                )
        self._quote("  > ", execution.stdout)
        if execution.error:
            self._quote(
                "  > ", execution.error.traceback or f"{execution.error.name}: {execution.error.value}"
            )

    def _quote(self, prefix: str, text: str) -> None:
        lines = inert(clip(text.strip("\n"), _MAX_CHARACTERS)).splitlines()
        if len(lines) > _MAX_LINES:
            cut = len(lines) - _MAX_LINES
            half = _MAX_LINES // 2
            lines = [*lines[:half], f"[... {cut} lines left out ...]", *lines[-half:]]
        if lines:
            self.say(textwrap.indent("\n".join(lines), prefix, lambda _line: True))
