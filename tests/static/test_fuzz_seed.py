"""A short seed of the fuzzer (minutes of it run in `make test CI=1` and `make fuzz`), and its own tests."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.static.fuzz import campaign
from tests.static.fuzz.__main__ import text
from tests.static.fuzz.campaign import Campaign
from tests.static.fuzz.hostile import Hostile
from tests.static.fuzz.shrink import shrink
from tests.static.fuzz.statements import Program
from tests.static.harness import CONTROL, WITH_ASYNC, Lab

SEED = 20261124
PROGRAMS = 120


@pytest.fixture(scope="module")
def report() -> Iterator[Campaign]:
    with Lab(**WITH_ASYNC) as lab:
        yield campaign.run(lab, SEED, programs=PROGRAMS)


def test_nothing_is_found(report: Campaign) -> None:
    assert report.troubles == [], text(report)


def test_most_programs_run(report: Campaign) -> None:
    """A fuzzer whose programs do not parse, or stop at their first line, finds nothing and looks green."""
    done = report.outcomes["program: same, to its end"]
    assert done >= report.outcomes["program: same, raised"] / 2
    assert done + report.outcomes["program: same, raised"] >= PROGRAMS / 2
    assert report.outcomes["hostile: inert"] >= 5


def test_each_production_is_written_by_a_few_hundred_seeds() -> None:
    for grammar in (Program, Hostile):
        hit: Counter[str] = Counter()
        for seed in range(300):
            writer = grammar(seed)
            writer.source()
            hit.update(writer.hit)
        assert grammar.productions() - hit.keys() == set()


def test_the_same_seed_writes_the_same_program() -> None:
    assert Program(5).source() == Program(5).source()
    assert Hostile(5).source() == Hostile(5).source()


def test_all_but_a_few_parse() -> None:
    def parses(source: str) -> bool:
        try:
            ast.parse(source)
        except SyntaxError:
            return False
        return True

    assert all(parses(Program(seed).source()) for seed in range(200))
    assert sum(parses(Hostile(seed).source()) for seed in range(200)) >= 150


def test_the_oracle_sees_what_hostile_programs_get_in_plain_python() -> None:
    """The positive control: without a layer around it the same grammar escapes again and again."""
    with Lab() as lab:
        ran = [lab.run(Hostile(seed).source(), CONTROL) for seed in range(60)]
    assert sum(bool(one.events or one.loot) for one in ran) >= 20


def test_a_failure_is_made_small() -> None:
    source = "a = 1\nfor i in range(3):\n    b = i\n    if b:\n        print('bad')\nc = 2\n"
    assert shrink(source, lambda text: "bad" in text) == "print('bad')\n"
