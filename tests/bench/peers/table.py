"""The table of peers: what each work took, how often ours goes in that, and what isolation it came with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.measure import Series
from tests.bench.peers.work import LOOP, ONE_SHOT, PANDAS, WARM

HEADS = {
    WARM: "1+1 in a session",
    ONE_SHOT: "one-shot hello",
    PANDAS: "one-shot with pandas",
    LOOP: "loop ÷ CPython",
}


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One peer. A cell is what was measured, or why it was not; `cells[LOOP]` is a ratio to plain CPython."""

    name: str
    isolation: str
    cells: Mapping[str, Series | str]

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON, seconds and ratios."""
        cells = {
            work: cell if isinstance(cell, str) else {"p50": cell.p50, "p99": cell.p99, "count": cell.count}
            for work, cell in self.cells.items()
        }
        return {"name": self.name, "isolation": self.isolation, "cells": cells}


def _cell(row: PeerRow, ours: PeerRow, work: str) -> str:
    cell = row.cells.get(work, "")
    if isinstance(cell, str):
        return cell or "-"
    if work == LOOP:
        return f"{cell.p50:.2f}"
    mine = ours.cells.get(work)
    beside = f" ({cell.p50 / mine.p50:.3g} x)" if isinstance(mine, Series) and row is not ours else ""
    return f"{cell.p50 * 1e3:.3g} ms{beside}"


def _body(peers: Sequence[PeerRow]) -> list[list[str]]:
    body = []
    for row in peers:
        cells = [_cell(row, peers[0], work) for work in HEADS]
        if len(set(cells)) == 1:  # not here: the reason once
            cells[1:] = ["-"] * (len(cells) - 1)
        body.append([row.name, *cells, row.isolation])
    return body


_LEGEND = (
    "Medians; in brackets how many times ours that is (below 1: faster than ours). An isolation of `language filter` or "
    "`none` shares the caller's process, files and network: such figures show what the boundary costs, not a better sandbox."
)


def text_peers(peers: Sequence[PeerRow]) -> str:
    """Return the table for a terminal: a block a peer, because the reasons are sentences."""
    lines = ["-- peers " + "-" * 60, _LEGEND]
    for name, *cells, isolation in _body(peers):
        lines.append(name)
        lines += [f"    {head:<22}{cell}" for head, cell in zip(HEADS.values(), cells, strict=True)]
        lines.append(f"    {'isolation':<22}{isolation}")
    return "\n".join(lines)


def markdown_peers(peers: Sequence[PeerRow]) -> list[str]:
    """Return the table as Markdown."""
    heads = ["peer", *HEADS.values(), "isolation"]
    lines = [_LEGEND, "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return lines + [f"| {' | '.join(one)} |" for one in _body(peers)]
