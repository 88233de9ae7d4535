"""From what the engine found to a `Verdict`, and from a `Verdict` to the program's own SyntaxError.

A text that is no Python program is not a policy matter: it is reported as rule `syntax-error` (SBX001) with decision
`deny`, because it cannot run; the pipeline asks `syntax_error_of` and ends such an execution with outcome `error` and a
traceback as Python would print it, not with `denied`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from sandboxd.events import Decision, Finding, ProgramError, Verdict
from sandboxd.screen.engine.findings import MAX_FINDINGS

PASSING = frozenset({Decision.ALLOW, Decision.WARN})
"""What lets a source run. An unknown decision does not."""

SYNTAX_ERROR = "syntax-error"
SCREEN_FAILED = "screen-failed"

_FIELDS = {one.name: (int if one.type == "int" else str) for one in dataclasses.fields(Finding)}
_MAX_FIELD = 1000
_MAX_SHOWN_LINE = 200
_MAX_IMPORTS = 100
_MAX_BOUND = 256
_MAX_NAME = 200
_MAX_COUNT = 2**31
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


def finding_of(form: Any) -> Finding:
    """Build a finding from what a screener process sent.

    Raises:
        ValueError: it has another form; the process cannot be trusted any further.
    """
    if not isinstance(form, dict) or form.keys() != _FIELDS.keys():
        raise ValueError("not a finding")
    for name, kind in _FIELDS.items():
        value = form[name]
        if type(value) is not kind or (isinstance(value, str) and len(value) > _MAX_FIELD):
            raise ValueError("not a finding")
    return Finding(**form)


def findings_of(forms: Any) -> tuple[Finding, ...]:
    """Build all findings of an answer, or raise ValueError."""
    if not isinstance(forms, list) or len(forms) > MAX_FINDINGS:
        raise ValueError("not a list of findings")
    return tuple(finding_of(form) for form in forms)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a screener process said of a text, checked for its form. Claims, all of it."""

    findings: tuple[Finding, ...] = ()
    truncated: bool = False
    imports: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    nodes: int = 0
    depth: int = 0
    program: bytes = b""


def read_answer(form: Any, program: bytes, *, restricted: bool) -> Answer:
    """Build an answer from what a screener process sent.

    Args:
        form: the answer.
        program: the restricted program that came with it.
        restricted: whether the policy restricts: then a text that may run comes with its program. Without this a
            process that a text has taken over could have plain text run in a session of restricted code.

    Raises:
        ValueError, KeyError, TypeError: it has another form; the process cannot be trusted any further.
    """
    findings = findings_of(form["findings"])
    if bool(program) != (restricted and decide(findings) in PASSING):
        raise ValueError("a program is missing, or one is there that may not be")
    return Answer(
        findings,
        bool(form["truncated"]),
        _names_of(form["imports"], _MAX_IMPORTS),
        _names_of(form["binds"], _MAX_BOUND),
        _count_of(form["stats"]["nodes"]),
        _count_of(form["stats"]["depth"]),
        program,
    )


def _count_of(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MAX_COUNT:
        raise ValueError("not a count")
    return value


def _names_of(names: Any, most: int) -> tuple[str, ...]:
    if not isinstance(names, list) or len(names) > most:
        raise ValueError("not a list of names")
    if not all(isinstance(name, str) and len(name) <= _MAX_NAME for name in names):
        raise ValueError("not a list of names")
    return tuple(names)


def decide(findings: tuple[Finding, ...]) -> Decision:
    """Return the decision that the worst finding asks for."""
    if not findings:
        return Decision.ALLOW
    actions = {finding.action for finding in findings}
    if actions - {"route", "warn", "audit"}:
        return Decision.DENY
    if "route" in actions:
        return Decision.ROUTE
    return Decision.WARN if "warn" in actions else Decision.ALLOW


def syntax_error_of(verdict: Verdict, code: str = "") -> ProgramError | None:
    """Return the program's own SyntaxError if that is all that stops it, else None.

    Args:
        verdict: what the screen said.
        code: the source text; with it the traceback shows the line and a caret.
    """
    errors = [finding for finding in verdict.findings if finding.severity == "error"]
    if not errors or any(finding.rule != SYNTAX_ERROR for finding in errors):
        return None
    error = errors[0]
    lines = _LINE_ENDS.split(code) if code else []
    shown = lines[error.line - 1] if 0 < error.line <= len(lines) else ""
    traceback = (
        f'  File "<cell>", line {error.line}\n{_excerpt(shown, error)}{error.symbol}: {error.message}\n'
    )
    return ProgramError(name=error.symbol, message=error.message, traceback=traceback, line=error.line)


def _excerpt(line: str, error: Finding) -> str:
    """Show the line with carets, as Python does; a very long one is left out."""
    text = line.strip()
    if not text or len(text) > _MAX_SHOWN_LINE:
        return ""
    indent = len(line) - len(line.lstrip())
    start = min(max(error.column - 1 - indent, 0), len(text))
    end = error.end_column - 1 - indent if error.end_line == error.line else len(text)
    carets = "^" * max(1, min(end, len(text)) - start)
    return f"    {text}\n    {' ' * start}{carets}\n"
