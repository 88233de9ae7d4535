"""A line of the table: what, ours, its baseline, the design's target, and whether it is met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bench.measure import Ratio, Series, ratio

MIB = 1 << 20


class MissingError(Exception):
    """What a row needs is not here; the text says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How values are shown. `factor` turns seconds or bytes into what people read."""

    name: str
    factor: float
    of: str

    @property
    def is_time(self) -> bool:
        """Tell whether values are durations, which have a distribution worth a p99."""
        return self.of == "s"

    def show(self, value: float) -> str:
        """Return three digits and the unit."""
        number = value * self.factor
        return f"{number:,.0f} {self.name}" if number >= 1000 else f"{number:.3g} {self.name}"


SECONDS = Unit("s", 1.0, "s")
MILLISECONDS = Unit("ms", 1e3, "s")
MICROSECONDS = Unit("us", 1e6, "s")
MEBIBYTES = Unit("MiB", 1 / MIB, "bytes")
PER_SECOND = Unit("/s", 1.0, "/s")


@dataclass(frozen=True, slots=True)
class Target:
    """What design §6 asks for: of the ratio ours / baseline, or (without a baseline's part in it) of our median."""

    text: str
    holds: Callable[[float, float], bool]  # (ratio, our median)


def at_most(times: float) -> Target:
    """Ask for a ratio that is at most so much."""
    return Target(f"≤ {times:g} x", lambda ratio, _: ratio <= times)


def at_least(share: float) -> Target:
    """Ask for a ratio that is at least so much."""
    return Target(f"≥ {share:g} x", lambda ratio, _: ratio >= share)


def faster(times: float) -> Target:
    """Ask to be so many times faster than the baseline."""
    return Target(f"≥ {times:g} x faster", lambda ratio, _: ratio <= 1 / times)


def below(value: float, text: str) -> Target:
    """Ask for a median below a value, in seconds or bytes."""
    return Target(f"≤ {text}", lambda _, median: median <= value)


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. Without `ours` it was not measured, and `note` says why."""

    what: str
    baseline: str = ""
    ours: Series | None = None
    against: Series | None = None
    unit: Unit = MILLISECONDS
    target: Target | None = None
    note: str = ""
    failed: bool = False
    section: str = ""

    @property
    def ratio(self) -> Ratio | None:
        """Ours / baseline."""
        return ratio(self.ours, self.against) if self.ours is not None and self.against is not None else None

    @property
    def met(self) -> bool | None:
        """Tell whether the target is met; None without one, or without a figure."""
        if self.target is None or self.ours is None:
            return None
        return self.target.holds(self.ratio.middle if self.ratio else 0.0, self.ours.p50)

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON: base units (seconds, bytes, a second), quartiles of the rounds' ratios."""
        shown = self.ratio
        return {
            "section": self.section,
            "what": self.what,
            "unit": self.unit.of,
            "ours": _figures(self.ours),
            "baseline": self.baseline,
            "against": _figures(self.against),
            "ratio": None if shown is None else shown.middle,
            "ratio_quartiles": None if shown is None else [shown.low, shown.high],
            "target": self.target.text if self.target else None,
            "met": self.met,
            "note": self.note,
            "failed": self.failed,
        }


def _figures(series: Series | None) -> dict[str, Any] | None:
    if series is None:
        return None
    return {"p50": series.p50, "p99": series.p99, "count": series.count, "rounds": len(series.rounds)}
