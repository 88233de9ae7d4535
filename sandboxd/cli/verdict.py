"""Showing a verdict as a good compiler does: one line a finding, in the form that editors jump to, and the place itself."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from sandboxd.cli import output
from sandboxd.cli.terminal import escape_line

if TYPE_CHECKING:
    from sandboxd_client.results import Finding, Verdict

_LINE_ENDS = re.compile(r"\r\n|\r|\n")  # what the tokenizer splits on; str.splitlines splits on more
_MAX_SHOWN = 100  # code points of a line, around the place
_BEFORE = 40
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def show_verdict(verdict: Verdict, name: str, code: str) -> None:
    """Write the findings of one file to stdout, each with the line it stands in."""
    lines = _LINE_ENDS.split(code)
    for finding in verdict.findings:
        output.line(_finding_line(finding, name), style=_STYLES.get(finding.severity, ""))
        for text in excerpt(finding, lines):
            output.line(text)
    if verdict.truncated:
        output.line(f"{name}: there are more findings than are shown.")
    if verdict.route_to:
        output.line(f"{name}: policy {verdict.route_to} takes it.")


def finding_lines(verdict: Verdict, name: str) -> list[str]:
    """Render each finding as `file:line:column: severity rule: message (hint)`; what moved a program is no error of it."""
    lines = [_finding_line(finding, name, moved=bool(verdict.route_to)) for finding in verdict.findings]
    if verdict.truncated:
        lines.append("There are more findings than are shown.")
    return lines


def excerpt(finding: Finding, lines: list[str]) -> list[str]:
    """Return the line of a finding with carets below; nothing where the finding has no place.

    Written for a terminal: what is escaped takes more columns than it has characters, and wide characters take two.
    """
    if not 0 < finding.line <= len(lines):
        return []
    text = lines[finding.line - 1]
    start = min(max(finding.column - 1, 0), len(text))
    end = finding.end_column - 1 if finding.end_line == finding.line else len(text)
    first = start - _BEFORE if len(text) > _MAX_SHOWN and start > _BEFORE else 0
    cut = text[first : first + _MAX_SHOWN]
    start, end = start - first, min(max(end - first, start - first + 1), len(cut))
    gutter = f"{finding.line:>5} | "
    carets = " " * _width(cut[:start]) + "^" * max(1, _width(cut[start:end]))
    return [gutter + escape_line(cut), " " * (len(gutter) - 2) + "| " + carets]


def _finding_line(finding: Finding, name: str, *, moved: bool = False) -> str:
    place = f"{name}:{finding.line}:{finding.column}"
    hint = f" ({finding.hint})" if finding.hint else ""
    rule = f"{finding.rule_id} {finding.rule}"
    word = "routed" if moved and finding.action == "route" else finding.severity
    return escape_line(f"{place}: {word} {rule}: {finding.message}{hint}")


def _width(text: str) -> int:
    shown = escape_line(text)
    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF") for one in shown
    )
