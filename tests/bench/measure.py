"""Timing: rounds of the compared operations alternate, so that what disturbs the machine disturbs all of them alike.

Every operation gives the seconds it took itself: what has to happen around it (a pause in which a pool refills, the closing of
what it opened) stays outside its clock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Timed = Callable[[], float]
"""Does one operation and returns the seconds that count."""


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one operation by round: seconds, bytes or a rate."""

    rounds: tuple[tuple[float, ...], ...]

    @property
    def values(self) -> list[float]:
        """All values, sorted."""
        return sorted(value for one in self.rounds for value in one)

    @property
    def count(self) -> int:
        return sum(len(one) for one in self.rounds)

    @property
    def p50(self) -> float:
        return statistics.median(self.values)

    @property
    def p99(self) -> float:
        values = self.values
        return values[min(len(values) - 1, int(len(values) * 0.99))]

    @property
    def medians(self) -> list[float]:
        """The median of each round."""
        return [statistics.median(one) for one in self.rounds]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours against a baseline. `low` and `high` are the quartiles of the rounds' ratios: how much of it is noise."""

    middle: float
    low: float
    high: float


def ratio(ours: Series, against: Series) -> Ratio:
    """Compare round with round where they alternated, and the medians of all otherwise."""
    middle = ours.p50 / against.p50
    if len(ours.rounds) != len(against.rounds) or len(ours.rounds) < 2:
        return Ratio(middle, middle, middle)
    pairs = [mine / theirs for mine, theirs in zip(ours.medians, against.medians, strict=True)]
    low, _, high = statistics.quantiles(pairs, n=4, method="inclusive")
    return Ratio(middle, low, high)


def timed(operation: Callable[[], object]) -> Timed:
    """Return the operation with a clock around it."""

    def run() -> float:
        started = time.perf_counter()
        operation()
        return time.perf_counter() - started

    return run


def interleave(
    operations: Sequence[Timed], *, rounds: int, each: int | Sequence[int], warm_up: int = 3
) -> list[Series]:
    """Run a round of each operation in turn, `rounds` times over; a few calls of each before do not count.

    Args:
        each: calls a round, for all operations or one by one: what takes longer gets fewer.
    """
    counts = [each] * len(operations) if isinstance(each, int) else list(each)
    for operation in operations:
        for _ in range(warm_up):
            operation()
    taken: list[list[tuple[float, ...]]] = [[] for _ in operations]
    for _ in range(rounds):
        for place, (operation, count) in enumerate(zip(operations, counts, strict=True)):
            taken[place].append(tuple(operation() for _ in range(count)))
    return [Series(tuple(one)) for one in taken]


def single(value: float) -> Series:
    """Return a series of one value, for what is counted once."""
    return Series(((value,),))
