"""What the model is told about an execution.

Output is untrusted: it holds what a file or a web page said, and may be written to be read as instructions.
It is bounded, escaped and set between marks that it cannot forge, since they carry a random word of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_client.agent.text import clip, inert
from sandboxd_client.agent.tool_notes import told_calls
from sandboxd_client.results import Execution, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAX_REASONS = 12  # a verdict has 50 findings at most; of the same reason all places are one
_MAX_LINES = 10
_HARMLESS = frozenset({"warn", "audit"})
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
    yield from told_calls(execution)
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
    verdict = execution.verdict
    groups = _groups(verdict.findings if verdict else ())
    yield from (f"- {_places(group)}{_sentences(group[0])}" for group in groups[:_MAX_REASONS])
    if len(groups) > _MAX_REASONS or (verdict and verdict.truncated):
        yield f"- and {len(groups) - _MAX_REASONS} more" if len(groups) > _MAX_REASONS else "- and more"
    if not groups:
        yield f"- {execution.evidence.detail or execution.evidence.code or 'no reason was given'}"
    if verdict and verdict.routable:
        where = inert(clip(verdict.route_to, _MAX_NAME))
        yield f"Policy {where} would run it, but this sandbox keeps its policy: do it without what is named above."
        return
    yield "Write the whole block again so that none of these is left."


def _groups(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Put the same reason at several places together; what is only warned about stops nothing and is left out."""
    stopping = [one for one in findings if one.action not in _HARMLESS] or list(findings)
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in stopping:
        groups.setdefault((one.rule, one.message, one.hint), []).append(one)
    return list(groups.values())


def _places(group: list[Finding]) -> str:
    first = group[0]
    if not first.line:
        return ""
    lines = sorted({one.line for one in group} - {first.line})
    more = ", ".join(str(line) for line in lines[:_MAX_LINES]) + (", …" if len(lines) > _MAX_LINES else "")
    also = f" (also line{'s' * (len(lines) > 1)} {more})" if lines else ""
    return f"line {first.line}, column {first.column}{also}: "


def _sentences(finding: Finding) -> str:
    said = f"{finding.message} [{finding.rule}]"
    return inert(said + (f" Hint: {finding.hint}" if finding.hint else ""))
