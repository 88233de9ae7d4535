"""Every part of the container tier is killed at every step of a container's life: nothing is left, nobody is lied to.

Parts: front, broker, engine, the container's init, the client. What stays is what others have on that engine, however near
their labels come to ours; what comes back needs no new daemon (the front's own death apart).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from engine import OwnEngine

from crash.fleet import EDITS, NO_INIT, STEPS, TARGETS, Decoys, Fleet, harbour
from crash.house import Ended
from crash.steps import go_on, standing_at
from crash.visits import ClientProcess, Visit, assert_truthful

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

PAIRS = [(step, target) for step in STEPS for target in TARGETS if target != "init" or step not in NO_INIT]
# What differs under gVisor: its processes are many, its stops are its own, its counters go with it.
IN_GVISOR = [
    ("started", "init"),
    ("running", "init"),
    ("running", "front"),
    ("running", "engine"),
    ("stopped", "broker"),
]
SETTLED = frozenset({"ok", "killed", "infrastructure", "timeout_wall"})


@pytest.fixture(scope="module")
def port() -> Iterator[tuple[OwnEngine, Decoys]]:
    with harbour() as found:
        yield found


@pytest.fixture(scope="module")
def fleet(port: tuple[OwnEngine, Decoys]) -> Iterator[Fleet]:
    """Without waiting containers, so that a step is always the next session's."""
    fleet = Fleet(*port, edits=EDITS)
    try:
        fleet.start()
        yield fleet
        fleet.audit()
    finally:
        fleet.close()


def bring(fleet: Fleet, step: str, visit: Visit | None, client: ClientProcess | None) -> int:
    """Bring a visitor to a step; return who stands still there, 0 where nobody has to."""
    if step == "reaping":
        return fleet.wait_for(lambda: standing_at(step))
    if step == "running":
        assert visit.running.wait(30) if visit else client and client.heard("running")
        return 0
    if step in {"stopped", "closing"}:
        assert visit.ran.wait(30) if visit else client and client.heard("ran")
    if step == "stopped":
        return 0
    if step == "closing":
        if visit is not None:
            visit.leave.set()
        elif client is not None:
            client.kill()
    return fleet.wait_for(lambda: standing_at(step))


def struck(fleet: Fleet, step: str, target: str, runtime: str) -> tuple[str, Visit | None]:
    """Kill a part at a step, let the rest go on, have what does not come back by itself started again."""
    if step != "reaping":  # else the session's container is there already
        fleet.arm(step)
    client = ClientProcess(f"in-{runtime}") if target == "client" else None
    visit = None if client else Visit(fleet.address, step, f"in-{runtime}")
    if client is not None:
        client.go(fleet.address, step)
    elif visit is not None:
        visit.start()
    if step == "reaping":
        assert visit.running.wait(30) if visit and step == "running" else True
        assert visit.ran.wait(30) if visit else client and client.heard("ran")
        fleet.arm(step)
        fleet.leave()
    standing = bring(fleet, step, visit, client)
    wake = go_on(standing) if standing else None
    if client is not None:
        client.kill() if step != "closing" else None
    else:
        fleet.strike(target)
    if wake is not None:
        if client is not None:
            time.sleep(0.15)  # the front has missed it
        wake()
    if visit is not None:
        visit.end_snippet()
        if target != "front":
            visit.finish()
    fleet.restore(target)
    if visit is not None and target == "front":
        visit.finish()
    return (client.execution_id if client else visit.execution_id if visit else ""), visit


def judge(fleet: Fleet, step: str, target: str, runtime: str = "runc") -> None:
    """Strike, and hold what is left and what was told against what must be."""
    execution_id, visit = struck(fleet, step, target, runtime)
    fleet.assert_serves()
    fleet.assert_quiet()
    fleet.assert_untouched()
    ended = fleet.ended(execution_id)
    if visit is not None:
        assert_truthful(visit.execution, visit.told, ended, opened=visit.opened)
    assert ended == Ended() or ended.outcome in SETTLED, ended


@pytest.mark.parametrize(("step", "target"), PAIRS)
def test_a_part_is_killed(fleet: Fleet, step: str, target: str) -> None:
    judge(fleet, step, target)


@pytest.mark.parametrize(("step", "target"), IN_GVISOR)
def test_a_part_is_killed_beside_gvisor(fleet: Fleet, step: str, target: str) -> None:
    judge(fleet, step, target, "runsc")


@pytest.mark.parametrize("target", ["broker", "engine", "init", "front"])
def test_a_part_is_killed_while_a_container_waits(port: tuple[OwnEngine, Decoys], target: str) -> None:
    fleet = Fleet(*port, pool=1)
    try:
        fleet.start()
        fleet.strike(target)
        fleet.restore(target)
        if target == "init":
            fleet.assert_quiet()  # another waits before anybody asks for it
        fleet.assert_serves()
        fleet.assert_quiet()
        fleet.assert_untouched()
    finally:
        fleet.close()
