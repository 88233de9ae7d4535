"""A few random kills of the container tier in every test run; `make soak` has a hundred, and repeats a seed."""

from __future__ import annotations

import secrets

import pytest

from crash.container_kills import ContainerKills
from crash.fleet import Fleet, harbour

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

KILLS = 10


def test_random_kills_in_containers_leave_nothing_and_lie_to_nobody() -> None:
    seed = secrets.randbelow(1 << 30)
    print(f"again: make soak ARGS='--only containers --seed {seed} --container-kills {KILLS}'")
    with harbour() as port:
        fleet = Fleet(*port, pool=1)
        try:
            fleet.start()
            print(ContainerKills(fleet, seed).run(KILLS))
            fleet.audit()
        finally:
            fleet.close()
