"""Every part is killed at every step of an execution's way, through the real daemon: nothing is left, and nobody is lied to.

The steps: the zygote has cloned a box (fork); its cgroup is made, its ids are not written (map); pid 1 has built the root and
not entered it (mount); the guest is locked down but for its filter (guest); half of the limits are set (checkout); the front has not
yet looked at the box that the launcher says it has (opened); the intent is in the log (intent); the snippet
runs, with a child (running); between two snippets all is stopped (stopped); half of the outcome's record is written (outcome).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sandboxd_client import Execution, Outcome, SandboxError, SessionLostError

from crash.house import Ended, House
from crash.modes import MODES
from crash.steps import EDITS, IMPOSSIBLE, STEPS, TARGETS, go_on, standing_at
from crash.visits import RESTARTED, ClientProcess, Visit, assert_truthful

pytestmark = pytest.mark.userns

PAIRS = [(step, target) for target in TARGETS for step in STEPS if (step, target) not in IMPOSSIBLE]
BEFORE_INTENT = frozenset({"fork", "map", "mount", "guest", "checkout", "opened"})
LOST = Ended(1, 1, "infrastructure", "SESSION_LOST")
OK = Ended(1, 1, "ok", "")
KILLED = Ended(1, 1, "killed", "SIGKILL")
# What the log says in the end of an execution that was interrupted; of one that came before its intent, nothing.
RECORDED = {
    ("intent", "guest"): KILLED,
    ("intent", "pid1"): LOST,
    ("intent", "front"): RESTARTED,
    ("running", "guest"): KILLED,
    ("running", "pid1"): LOST,
    ("running", "launcher"): LOST,
    ("running", "front"): RESTARTED,
    ("running", "client"): Ended(1, 1, "timeout_wall", ""),
    ("outcome", "front"): RESTARTED,
}


def reach(house: House, step: str, visit: Visit | None, client: ClientProcess | None) -> int:
    """Wait until the step is reached; return who stands still there, 0 where nobody has to."""
    if step == "running":
        assert visit.running.wait(20) if visit else client and client.heard("running")
        return 0
    if step == "stopped":
        assert visit.ran.wait(20) if visit else client and client.heard("ran")
        house.wait_for(house.resting)
        return 0
    return house.wait_for(lambda: standing_at(step))


def strike(house: House, step: str, target: str, client: ClientProcess | None) -> Visit | None:
    """Bring a client to the step, kill the target there, let the rest go on."""
    house.arm(step)
    visit = None
    if client is not None:
        client.go(house.address, step)
    else:
        visit = Visit(house.address, step)
        visit.start()
    standing = reach(house, step, visit, client)
    wake = go_on(standing) if standing else None
    if client is not None:
        client.kill()
    else:
        house.kill(house.victim(target))
    if wake is not None:
        if step == "opened" or client is not None:
            # What the launcher says of the death waits behind the news of the box; the front has missed the client.
            time.sleep(0.15)
        wake()
    return visit


@pytest.mark.parametrize(("step", "target"), [pair for pair in PAIRS if pair[1] not in {"front", "client"}])
def test_a_part_of_the_launcher_s_is_killed(house: House, step: str, target: str) -> None:
    visit = strike(house, step, target, None)
    assert visit is not None
    visit.end_snippet()
    visit.finish()
    house.assert_nothing_more()
    house.assert_serves()
    house.assert_quiet()
    check_records(house, visit, step, target)
    if step == "stopped":
        check_after(visit, target)


@pytest.mark.parametrize("step", STEPS)
def test_a_client_is_killed(house: House, clients: list[ClientProcess], step: str) -> None:
    client = clients.pop()
    clients.append(ClientProcess())
    strike(house, step, "client", client)
    house.assert_quiet()
    ended = house.ended(client.execution_id)
    # The session was opened for nobody, and nobody sent it code.
    expected = Ended() if step in BEFORE_INTENT else RECORDED.get((step, "client"), OK)
    assert ended == expected
    house.assert_serves()


@pytest.mark.parametrize("step", STEPS)
def test_the_front_is_killed(house: House, step: str) -> None:
    visit = strike(house, step, "front", None)
    assert visit is not None
    house.buried()
    house.assert_nothing()
    house.log()  # verifies, also while its last line may be torn
    house.start()
    visit.finish()
    check_records(house, visit, step, "front")
    house.assert_serves()
    house.assert_quiet()


@pytest.mark.parametrize(
    ("step", "target"),
    [
        ("groups", "launcher"),
        ("groups", "client"),
        *(("fork", role) for role in ("zygote", "pid1", "launcher", "client")),
    ],
)
def test_a_launcher_s_successor_is_killed_at_its_start(
    house: House, clients: list[ClientProcess], step: str, target: str
) -> None:
    """A service's next launcher proves that the jail works: who dies meanwhile spoils one open, not the service."""
    if step == "groups" and house.mode.name == "none":
        return  # it makes none there
    house.kill(house.victim("launcher"))
    house.assert_nothing_more()
    client = None
    if target == "client":
        client = clients.pop()
        clients.append(ClientProcess())
    visit = strike(house, step, target, client)
    if visit is not None:
        visit.finish()
        assert_truthful(visit.execution, visit.told, house.ended(visit.execution_id), opened=visit.opened)
    house.assert_serves()
    house.assert_quiet()


def test_a_launcher_ends_with_its_undertaker(house: House) -> None:
    """Who could not clean up after a kill does so while it lives; the next session has another launcher."""
    house.kill(house.victim("undertaker"))
    house.assert_nothing_more()
    house.assert_serves()
    house.assert_quiet()


def test_a_front_without_a_launcher_is_killed(house: House) -> None:
    """Nobody of the launcher's is left but its undertaker, which waits for this."""
    house.kill(house.victim("launcher"))
    house.assert_nothing_more()
    house.kill(house.victim("front"))
    house.buried()
    house.assert_nothing()
    house.start()
    house.assert_quiet()


@pytest.fixture(scope="module")
def private_house() -> Iterator[House]:
    """An embedded daemon as a client starts it: its directory is its own."""
    mode = next(mode for mode in MODES.values() if mode.available())
    house = House(mode.name, edits=EDITS, waiting=0, ephemeral=True)
    yield house
    house.close()


@pytest.mark.parametrize(
    ("step", "target"), [("map", "front"), ("running", "front"), ("running", "launcher")]
)
def test_an_embedded_daemon_leaves_not_even_its_directory(
    private_house: House, step: str, target: str
) -> None:
    private_house.start()
    visit = strike(private_house, step, target, None)
    assert visit is not None
    private_house.buried()
    private_house.assert_nothing()
    assert not private_house.runtime.exists()
    visit.finish()
    # The log of a front that was killed has the intent alone: the next start would end it.
    ended = private_house.ended(visit.execution_id)
    assert ended in {Ended(), Ended(intents=1), LOST}, ended
    assert isinstance(visit.told, SandboxError) or ended == LOST


def check_records(house: House, visit: Visit, step: str, target: str) -> None:
    """Hold what the client was told against the log, and the log against what must have happened."""
    ended = house.ended(visit.execution_id)
    assert_truthful(visit.execution, visit.told, ended, opened=visit.opened)
    if (step, target) == ("intent", "launcher"):
        assert ended in {LOST, OK}, ended  # the box may have had time for it before its end reached it
    elif step not in BEFORE_INTENT:
        assert ended == RECORDED.get((step, target), OK)
    elif target == "guest" and step in {"checkout", "opened"}:
        # The box was all but open: its death may be told after a snippet was sent, and then is that one's outcome.
        assert ended in {Ended(), OK, KILLED}, ended
    else:
        assert ended in {Ended(), OK}, ended


def check_after(visit: Visit, target: str) -> None:
    """A session between two snippets outlives its interpreter and its zygote, and nothing else.

    A snippet may be on its way before the front heard of the death: then that is its outcome.
    """
    after = visit.after
    if target in {"pid1", "launcher"}:
        lost = isinstance(after, SessionLostError)
        assert lost or (isinstance(after, Execution) and after.evidence.code == "SESSION_LOST"), after
    else:
        assert isinstance(after, Execution), after
        assert after.variables_lost == (target == "guest")
        assert after.text == "4" or (target == "guest" and after.outcome is Outcome.KILLED), after
