"""Timing and its report: medians of many, a baseline beside each figure, JSON and a table."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """Durations of one operation, seconds."""

    p50: float
    p99: float
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `ratio` is measured / baseline of the medians; `target` is design §6's."""

    operation: str
    baseline: str
    measured: Sample
    against: Sample
    target: float
    more_is_better: bool = False

    @property
    def ratio(self) -> float:
        return self.measured.p50 / self.against.p50

    @property
    def met(self) -> bool:
        return self.ratio >= self.target if self.more_is_better else self.ratio <= self.target


def time_many(operation: Callable[[], object], count: int, *, warm_up: int = 3) -> Sample:
    """Time `count` calls one by one, after a few that do not count."""
    for _ in range(warm_up):
        operation()
    durations = []
    for _ in range(count):
        started = time.perf_counter()
        operation()
        durations.append(time.perf_counter() - started)
    return sample(durations)


def sample(durations: list[float]) -> Sample:
    ordered = sorted(durations)
    return Sample(
        statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], len(ordered)
    )


def table(rows: list[Row]) -> str:
    """Return the rows as text: milliseconds, ratio, target."""
    head = f"{'operation':<44} {'p50 ms':>9} {'p99 ms':>9} {'base p50':>9} {'ratio':>7} {'target':>8}"
    lines = [head, "-" * len(head)]
    for row in rows:
        sign = ">=" if row.more_is_better else "<="
        verdict = "" if row.met else "  MISSED"
        lines.append(
            f"{row.operation:<44} {row.measured.p50 * 1e3:9.3f} {row.measured.p99 * 1e3:9.3f} "
            f"{row.against.p50 * 1e3:9.3f} {row.ratio:7.2f} {sign}{row.target:6.2f}{verdict}"
        )
        lines.append(f"    against: {row.baseline}")
    return "\n".join(lines)


def machine() -> dict[str, object]:
    """Name the machine as far as it matters for the figures."""
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "uid": os.geteuid(),
    }


def write_json(path: Path, rows: list[Row]) -> None:
    """Write machine and rows."""
    body = {
        "machine": machine(),
        "rows": [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows],
    }
    path.write_text(json.dumps(body, indent=2) + "\n")
