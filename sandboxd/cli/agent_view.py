"""Showing an agent at work: the model's words as they come, what its code gave, the answer.

Model and sandbox are both strangers: everything they said goes through the terminal's filter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_client.agent.events import ModelStarted, ModelText, RunFinished, StepFinished

from sandboxd.cli import output

if TYPE_CHECKING:
    from sandboxd_client.agent.events import AgentEvent
    from sandboxd_client.agent.result import AgentResult


def show_event(event: AgentEvent) -> None:
    """Write one event of a run."""
    match event:
        case ModelStarted():
            output.line(f"step {event.step}", style="bold")
        case ModelText():
            output.write(event.text)
        case StepFinished():
            output.line("\n" + event.step.observation.rstrip(), style="dim")
        case RunFinished():
            show_result(event.result)
        case _:
            pass  # the others repeat what these show


def show_result(result: AgentResult) -> None:
    """Write how the run ended."""
    if result.failure is not None:
        output.error(result.failure.code, result.failure.message)
    if result.outcome == "answered":
        output.line(f"answer: {result.answer}", style="bold green")
    else:
        output.line(f"no answer: {result.outcome}", style="bold red")
    output.note(f"{len(result.steps)} steps, {len(result.artifacts)} artifacts")
