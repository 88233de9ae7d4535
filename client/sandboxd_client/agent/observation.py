"""What the model is told about an execution.

Output is untrusted: it holds what a file or a web page said, and may be written to be read as instructions.
It is bounded, escaped and set between marks that it cannot forge, since they carry a random word of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_client.agent.text import clip, inert
from sandboxd_client.results import Execution, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_FINDINGS = 5
_MAX_NAME = 80

# Outcome -> what happened, what to do. These are the daemon's facts, so they stand outside of the marks.
_WORDS: dict[Outcome, tuple[str, str]] = {
    Outcome.OK: ("The block ran to its end.", ""),
    Outcome.ERROR: ("The block failed.", "Find the cause in the traceback and write a corrected block."),
    Outcome.TIMEOUT_WALL: (
        "The block was stopped: it took too long.",
        "Make it faster, or do less in one block.",
    ),
    Outcome.TIMEOUT_CPU: (
        "The block was stopped: it used too much CPU time.",
        "Make it faster, or do less at once.",
    ),
    Outcome.OOM: ("The block was stopped: it used too much memory.", "Read less at once, or keep less."),
    Outcome.OUTPUT_LIMIT: ("The block was stopped: it printed too much.", "Print a summary only."),
    Outcome.CRASHED: ("The interpreter crashed in this block.", "Do it in another way."),
    Outcome.CANCELLED: ("The block was cancelled from outside.", ""),
    Outcome.KILLED: ("The block was killed from outside.", ""),
    Outcome.INFRASTRUCTURE: ("The sandbox failed; this is no fault of the block.", ""),
}


def observe(execution: Execution, mark: str, limit: int) -> str:
    """Return the observation of an execution, of about `limit` characters at most.

    Args:
        execution: what happened.
        mark: the run's random word.
        limit: how many characters of output, and again of an error, are shown.
    """
    return "\n".join(_parts(execution, mark, limit))


def _parts(execution: Execution, mark: str, limit: int) -> Iterator[str]:
    if execution.outcome is Outcome.DENIED:
        yield from _denial(execution)
        return
    yield _headline(execution)
    shown = {"output": execution.stdout, "error output": execution.stderr, "value": execution.text or ""}
    for name, text in shown.items():
        if text.strip():
            yield _marked(name, text, mark, limit)
    if error := execution.error:
        yield _marked("traceback", error.traceback or f"{error.name}: {error.value}", mark, limit)
    images = sum(1 for result in execution.results if result.png is not None)
    if images:
        yield f"{images} image(s) were displayed and kept."
    yield from _advice(execution)


def _marked(name: str, text: str, mark: str, limit: int) -> str:
    return f"<{name} {mark}>\n{inert(clip(text, limit)).rstrip()}\n</{name} {mark}>"


def _headline(execution: Execution) -> str:
    words, _ = _WORDS.get(execution.outcome, (f"The block ended: {execution.outcome}.", ""))
    error = execution.error
    return (
        f"{words} ({inert(clip(error.name, _MAX_NAME))})"
        if error and execution.outcome is Outcome.ERROR
        else words
    )


def _advice(execution: Execution) -> Iterator[str]:
    if execution.limits_hit:
        yield f"Limits reached on the way: {', '.join(execution.limits_hit)}."
    if execution.variables_lost:
        yield "The interpreter was restarted: variables and imports are gone, files in /work are still there."
    if execution.final_answer and not execution.ok:
        yield "final_answer was called, but the block did not run to its end, so it does not count yet."
    _, advice = _WORDS.get(execution.outcome, ("", ""))
    if advice:
        yield advice
    elif execution.ok and not (execution.stdout.strip() or execution.text or execution.results):
        yield "It printed nothing. Print what you need to see."


def _denial(execution: Execution) -> Iterator[str]:
    yield "The policy refused the block before it ran; nothing of it was executed:"
    findings = execution.verdict.findings if execution.verdict else ()
    for finding in findings[:_MAX_FINDINGS]:
        yield f"- {_place(finding)}{_sentences(finding)}"
    if len(findings) > _MAX_FINDINGS:
        yield f"- and {len(findings) - _MAX_FINDINGS} more"
    if not findings:
        yield f"- {execution.evidence.detail or execution.evidence.code or 'no reason was given'}"
    if execution.verdict and execution.verdict.routable:
        where = inert(clip(execution.verdict.route_to, _MAX_NAME))
        yield f"Policy {where} would run it, but this sandbox keeps its policy: do it without what is named above."
        return
    yield "Write the block again in a way that the policy allows."


def _place(finding: Finding) -> str:
    return f"line {finding.line}, column {finding.column}: " if finding.line else ""


def _sentences(finding: Finding) -> str:
    said = f"{finding.message} [{finding.rule}]"
    return inert(said + (f" Hint: {finding.hint}" if finding.hint else ""))
