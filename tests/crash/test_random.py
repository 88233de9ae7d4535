"""A few random kills in every test run; `make soak` has hundreds, and repeats a seed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from crash.house import MAX_SESSIONS, House
from crash.random_kills import RandomKills

pytestmark = pytest.mark.userns

KILLS = 15


@pytest.fixture(scope="module")
def house(mode: str) -> Iterator[House]:
    house = House(mode, flags=["--max-sessions", str(MAX_SESSIONS)])
    try:
        house.start()
        yield house
        house.audit()
    finally:
        house.close()


def test_random_kills_leave_nothing_and_lie_to_nobody(house: House) -> None:
    seed = secrets.randbelow(1 << 30)
    print(f"again: make soak ARGS='--only kills --mode {house.mode.name} --seed {seed} --kills {KILLS}'")
    print(RandomKills(house, seed).run(KILLS))
