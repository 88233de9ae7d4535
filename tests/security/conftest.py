"""Configurations of the attack tests: who runs the daemon, and whether it has cgroups."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rig
from controls import BAIT


@pytest.fixture(scope="session")
def update(request: pytest.FixtureRequest) -> bool:
    """Tell whether golden files are to be written."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Tell whether every attack is to be tried against every control that is off."""
    return bool(request.config.getoption("--full-matrix") or request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def join_cgroups() -> Callable[[], None] | None:
    """What a daemon's process does before it starts: enter the cgroups that were delegated to this user, if any."""
    directories = [Path(one) for one in os.environ.get("SANDBOXD_TEST_CGROUPS", "").split(":") if one]
    if not directories or rig.USER == "root":
        return None

    def join() -> None:
        for directory in directories:
            (directory / "cgroup.procs").write_text(str(os.getpid()))

    return join


@pytest.fixture(scope="session")
def bait() -> Iterator[None]:
    """A file of the host that anybody may write, and that controls.BAIT_EDIT binds into a box."""
    place = Path(BAIT)
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    (place / "file").write_text("bait")
    (place / "file").chmod(0o666)
    yield
    shutil.rmtree(place)
