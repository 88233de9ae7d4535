from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from traces import adopt_orphans

from crash.house import FEW_SLOTS, MAX_SESSIONS, House
from crash.modes import MODES
from crash.steps import EDITS
from crash.visits import ClientProcess

# Another front or client costs a start each. All steps have all victims in the mode that is the most this machine can be;
# in the others the launcher's parts die at every step, and these two at a few.
FEW_STEPS = {
    "test_the_front_is_killed": {"map", "running", "outcome"},
    "test_a_client_is_killed": {"guest", "running"},
    "test_a_part_of_the_launcher_s_is_killed_in_an_errand": {
        "copy-live",
        "hear-chec",
        "halted",
        "copy-rest",
        "called",
    },
    "test_a_client_is_killed_in_an_errand": {"handed"},
    "test_the_front_is_killed_in_an_errand": {"handed", "called"},
}

# A container's life takes seconds: of the matrix each step and each part stand here; `--full-matrix` has all of it.
FEW_OF_CONTAINERS = {
    "test_a_part_is_killed": {
        ("creating", "broker"),
        ("created", "broker"),
        ("created", "engine"),
        ("attached", "front"),
        ("started", "init"),
        ("handed", "client"),
        ("running", "front"),
        ("running", "init"),
        ("closing", "broker"),
        ("reaping", "broker"),
    },
    "test_a_part_is_killed_beside_gvisor": {("running", "init")},
    "test_a_part_is_killed_while_a_container_waits": {("waiting", "init")},
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    best = next(name for name, mode in MODES.items() if mode.available())
    left_out = [item for item in items if isinstance(item, pytest.Function) and _is_left_out(item, best)]
    if not config.getoption("--full-matrix"):
        left_out += [item for item in items if isinstance(item, pytest.Function) and _is_one_of_many(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _is_one_of_many(item: pytest.Function) -> bool:
    few = FEW_OF_CONTAINERS.get(item.originalname)
    if few is None or item.path.name != "test_container_steps.py":
        return False
    given = item.callspec.params
    return (given.get("step", "waiting"), given["target"]) not in few


def _is_left_out(item: pytest.Function, best: str) -> bool:
    few = FEW_STEPS.get(item.originalname)
    if few is None or not hasattr(item, "callspec"):
        return False
    return item.callspec.params["mode"] != best and item.callspec.params["step"] not in few


@pytest.fixture(scope="session", autouse=True)
def _orphans() -> Iterator[None]:
    with adopt_orphans():
        yield


@pytest.fixture(
    scope="module", params=[*(pytest.param(name, marks=pytest.mark.root) for name in ("v2", "v1")), "none"]
)
def mode(request: pytest.FixtureRequest) -> str:
    """The kind of host: a mode that this machine cannot be fails in CI."""
    name: str = request.param
    if not MODES[name].available():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"this machine cannot be {name!r}")
    return name


@pytest.fixture(scope="module")
def house(mode: str) -> Iterator[House]:
    """A service without waiting boxes, so that a step is always the next session's."""
    house = House(
        mode,
        edits=[*EDITS, FEW_SLOTS],
        flags=["--max-sessions", str(MAX_SESSIONS)],
        waiting=0,
    )
    try:
        house.start()
        yield house
        house.audit()
    finally:
        house.close()


@pytest.fixture(scope="module")
def clients() -> Iterator[list[ClientProcess]]:
    """Client processes that wait for an order; whoever takes one puts another in its place."""
    waiting = [ClientProcess()]
    yield waiting
    for client in waiting:
        client.kill()
