"""The attacks that were written against the screen, past layer 2 alone: they get nothing there either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.static.harness import BARE, Lab

FILE = Path(__file__).parents[1] / "corpus" / "screen_attacks.jsonl"
# What deceives a reader of the text deceives no guard: it runs as it was written.
FOR_READERS = "trojan source"
ATTACKS = [one for one in map(json.loads, FILE.read_text().splitlines()) if one["class"] != FOR_READERS]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("default") as one:
        yield one


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["id"])
def test_layer_2_alone_stops_it(lab: Lab, attack: dict[str, str]) -> None:
    ran = lab.run(attack["code"], BARE)
    assert ran.status in {"refused", "ran"}, ran
    assert "ESCAPED" not in ran.stdout
    assert (list(ran.events), list(ran.loot)) == ([], [])
