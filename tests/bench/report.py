"""The report: a table for a terminal, Markdown for the repository, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.machine import NOISY
from tests.bench.peers.table import PeerRow, markdown_peers, text_peers
from tests.bench.rows import Row
from tests.bench.setup import ROOT

RESULTS = ROOT / "tests/bench/RESULTS.md"
COMMAND = 'make bench ARGS="--peers --write-results"'
_HOW = (
    "Written by `{command}`; do not edit. Every baseline was measured in the same run, its rounds alternating with ours. p50 and "
    "p99 are over all calls; the ratio is that of the medians, in brackets the quartiles of the rounds' own ratios."
)


def cells(row: Row) -> tuple[str, str, str, str, str, str]:
    """Return p50, p99, baseline p50, ratio, target, verdict as text."""
    if row.ours is None:
        return ("FAILED" if row.failed else "not here", "", "", "", row.target.text if row.target else "", "")
    p50 = row.unit.show(row.ours.p50)
    p99 = row.unit.show(row.ours.p99) if row.unit.is_time and row.ours.count > 1 else ""
    base = row.unit.show(row.against.p50) if row.against is not None else ""
    found = row.ratio
    shown = ""
    if found is not None:
        shown = f"{found.middle:.3g}"
        if found.low != found.high:
            shown += f" [{found.low:.3g}-{found.high:.3g}]"
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    return p50, p99, base, shown, row.target.text if row.target else "", verdict


def text_table(rows: Sequence[Row]) -> str:
    """Return the rows for a terminal; the baseline stands below its row."""
    head = f"{'':<66}{'p50':>11}{'p99':>11}{'baseline':>11}  {'ratio [quartiles]':<25}{'target':<15}"
    lines = [head]
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            lines.append(f"-- {section} " + "-" * (len(head) - len(section) - 4))
        p50, p99, base, shown, target, verdict = cells(row)
        lines.append(f"{row.what:<66}{p50:>11}{p99:>11}{base:>11}  {shown:<25}{target:<15}{verdict}".rstrip())
        if row.baseline:
            lines.append(f"    against {row.baseline}")
        if row.note:
            lines.append(f"    {row.note}")
    return "\n".join(lines)


def noise(share: float) -> str:
    """Say how much of the machine others used before the run."""
    text = f"Before the run others used {share:.0%} of the processors."
    return text + (" The figures are not to be trusted: wait for a quiet moment." if share > NOISY else "")


def markdown(facts: Mapping[str, str], share: float, rows: Sequence[Row], peers: Sequence[PeerRow]) -> str:
    """Return tests/bench/RESULTS.md."""
    lines = [
        "# Benchmark results",
        "",
        _HOW.format(command=COMMAND),
        "",
        noise(share),
        "",
        "| machine | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
    ]
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            lines += ["", f"## {section}", ""]
            lines.append("| what | p50 | p99 | baseline | its p50 | ratio | target | |")
            lines.append("|---|---|---|---|---|---|---|---|")
        p50, p99, base, shown, target, verdict = cells(row)
        about = "; ".join(filter(None, (row.baseline, row.note)))
        lines.append(f"| {row.what} | {p50} | {p99} | {about} | {base} | {shown} | {target} | {verdict} |")
    if peers:
        lines += ["", "## peers", "", *markdown_peers(peers)]
    return "\n".join(lines) + "\n"


def as_json(facts: Mapping[str, str], share: float, rows: Sequence[Row], peers: Sequence[PeerRow]) -> str:
    """Return everything for programs."""
    body = {
        "machine": dict(facts),
        "others_share": share,
        "rows": [row.as_json() for row in rows],
        "peers": [peer.as_json() for peer in peers],
    }
    return json.dumps(body, indent=2) + "\n"


def write(path: Path, text: str) -> None:
    """Write a report."""
    path.write_text(text, encoding="utf-8")


__all__ = ("as_json", "markdown", "noise", "text_peers", "text_table", "write")
