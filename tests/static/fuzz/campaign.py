"""A run of the fuzzer: programs from both grammars, judged, counted, and what fails made small."""

from __future__ import annotations

import ast
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.static.harness import BARE, PLAIN, RESTRICTED, SCREENED, Lab, Ran

from .hostile import Hostile
from .shrink import shrink
from .statements import Program

MARKER = "ESC" + "APED"
_HOSTILE_SHARE = 4  # of a round of ten programs
_ROUND = 10


@dataclass(frozen=True, slots=True)
class Trouble:
    """One failure: crash, hang, escape, difference or refusal (of a program that the grammar calls acceptable)."""

    kind: str
    seed: int
    grammar: str
    way: str
    detail: str
    source: str


@dataclass(slots=True)
class Campaign:
    """What ran and what came of it."""

    seed: int
    programs: int = 0
    hostile: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    productions: dict[str, Counter[str]] = field(
        default_factory=lambda: {"program": Counter(), "hostile": Counter()}
    )
    nodes: dict[str, Counter[str]] = field(
        default_factory=lambda: {"program": Counter(), "hostile": Counter()}
    )
    troubles: list[Trouble] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "seed": self.seed,
            "programs": self.programs,
            "hostile": self.hostile,
            "seconds": round(self.seconds, 1),
            "outcomes": dict(sorted(self.outcomes.items())),
            "coverage": {name: self.coverage(name) for name in ("program", "hostile")},
            "troubles": [asdict(trouble) for trouble in self.troubles],
        }

    def coverage(self, grammar: str) -> dict[str, Any]:
        """Say which productions were written, and which node types they parsed to."""
        every = (Program if grammar == "program" else Hostile).productions()
        return {
            "productions": f"{len(every & self.productions[grammar].keys())}/{len(every)}",
            "missed": sorted(every - self.productions[grammar].keys()),
            "node_types": len(self.nodes[grammar]),
            "nodes": sorted(self.nodes[grammar]),
        }


def run(lab: Lab, seed: int, *, seconds: float = 0.0, programs: int = 0, with_async: bool = True) -> Campaign:
    """Run programs of both grammars for some seconds, or a number of them. A program's own seed follows from `seed`."""
    campaign = Campaign(seed)
    started = time.monotonic()
    for number in _numbers(started, seconds, programs):
        own = seed * 1_000_003 + number
        if number % _ROUND < _HOSTILE_SHARE:
            _one(campaign, lab, Hostile(own), own, "hostile")
        else:
            _one(campaign, lab, Program(own, with_async=with_async), own, "program")
    campaign.seconds = time.monotonic() - started
    return campaign


def _numbers(started: float, seconds: float, programs: int) -> Iterator[int]:
    number = 0
    while number < programs or time.monotonic() - started < seconds:
        yield number
        number += 1


def _one(campaign: Campaign, lab: Lab, writer: Program | Hostile, seed: int, grammar: str) -> None:
    source = writer.source()
    campaign.productions[grammar].update(writer.hit)
    try:
        campaign.nodes[grammar].update(type(node).__name__ for node in ast.walk(ast.parse(source)))
    except SyntaxError:
        campaign.outcomes[f"{grammar}: no Python here"] += 1
        return
    campaign.programs += 1
    campaign.hostile += grammar == "hostile"
    judge = judge_hostile if grammar == "hostile" else judge_program
    outcome, found = judge(lab, source)
    campaign.outcomes[f"{grammar}: {outcome}"] += 1
    if found is not None:
        kind, way, detail = found
        small = shrink(source, lambda text: _same(judge(lab, text)[1], kind, way))
        last = judge(lab, small)[1]
        campaign.troubles.append(Trouble(kind, seed, grammar, way, last[2] if last else detail, small))


Found = tuple[str, str, str] | None
"""Kind, way, detail."""


def _same(found: Found, kind: str, way: str) -> bool:
    return found is not None and found[:2] == (kind, way)


def judge_program(lab: Lab, source: str) -> tuple[str, Found]:
    """Compare a program of the accepted subset with CPython: screened, and screened and restricted."""
    plain = lab.run(source, PLAIN)
    if plain.status != "ran" or plain.error in {"SyntaxError", "MemoryError", "RecursionError"}:
        return f"left out ({plain.error or plain.status})", None
    for way in (SCREENED, RESTRICTED):
        here = lab.run(source, way)
        if here.status == "refused":
            return "refused", ("refusal", way, "; ".join(here.hints)[:500])
        if trouble := _broken(here):
            return "trouble", (trouble[0], way, trouble[1])
        if here.seen != plain.seen:
            return "differs", ("difference", way, _difference(plain, here))
    return f"same, {'raised' if plain.error else 'to its end'}", None


def judge_hostile(lab: Lab, source: str) -> tuple[str, Found]:
    """Run a hostile program through both layers, and through layer 2 alone."""
    outcome = "refused"
    for way in (RESTRICTED, BARE):
        here = lab.run(source, way)
        if here.status == "hang":
            return "does not end", None  # no filter's affair: the jail has deadlines
        if trouble := _broken(here):
            return "trouble", (trouble[0], way, trouble[1])
        if here.status == "ran":
            outcome = "inert"
    return outcome, None


def _broken(here: Ran) -> tuple[str, str] | None:
    """Say what is wrong with a run whatever the program was."""
    if here.status in {"hang", "crash"}:
        return here.status, here.message
    if here.error in {"SystemError", "InternalError"}:
        return "crash", f"{here.error}: {here.message}"
    taken = [*here.events, *here.loot]
    if MARKER in here.stdout:
        taken.append("the marker was printed")
    return ("escape", "; ".join(taken)[:500]) if taken else None


def _difference(plain: Ran, here: Ran) -> str:
    if plain.error != here.error:
        return f"CPython: {plain.error or 'no error'} {plain.message[:150]!r}; here: {here.error or 'no error'} {here.message[:200]!r}"
    if plain.stdout != here.stdout:
        pairs = zip(plain.stdout.splitlines(), here.stdout.splitlines(), strict=False)
        first = next(
            (pair for pair in pairs if pair[0] != pair[1]), (plain.stdout[-100:], here.stdout[-100:])
        )
        return f"CPython prints {first[0][:150]!r}; here: {first[1][:150]!r}"
    return f"CPython's value {plain.value!r:.150}; here: {here.value!r:.150}"
