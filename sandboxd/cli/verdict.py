"""Showing a verdict: one line a finding, in the form that editors jump to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd.cli import output

if TYPE_CHECKING:
    from sandboxd_client.results import Verdict


def show_verdict(verdict: Verdict, name: str) -> None:
    """Write the decision and its findings to stdout."""
    style = "green" if verdict.allowed else "bold red"
    output.line(f"{verdict.decision} by policy {verdict.policy}", style=style)
    for text in finding_lines(verdict, name):
        output.line(text)


def finding_lines(verdict: Verdict, name: str) -> list[str]:
    """Render each finding as `file:line:column: severity rule: message (hint)`."""
    lines = []
    for finding in verdict.findings:
        place = f"{name}:{finding.line}:{finding.column}"
        hint = f" ({finding.hint})" if finding.hint else ""
        rule = f"{finding.rule_id} {finding.rule}"
        lines.append(f"{place}: {finding.severity} {rule}: {finding.message}{hint}")
    if verdict.truncated:
        lines.append("There are more findings than are shown.")
    return lines
