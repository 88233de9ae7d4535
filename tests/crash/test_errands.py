"""Every part is killed in the midst of what a client asks beside running code: nothing is left, and a file is whole or as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sandboxd_client import FaultError, SandboxError, SessionLostError

from crash.errands import NEW, Errand, ErrandProcess
from crash.house import FEW_SLOTS, MAX_SESSIONS, VISITORS, House
from crash.steps import EDITS, INSIDE, ahead, before, from_above, go_on, importing, standing_at

pytestmark = pytest.mark.userns

_FILES = "jail/files.py"
ERRAND_EDITS = (
    before("service/transfers.py", "        keep = True\n    finally:", from_above("uploading")),
    importing(_FILES),
    ahead(_FILES, "os.rename(temporary, name,", 'pause.in_box("placed")'),
    ahead(_FILES, "os.rename(old_name, new_name,", 'pause.in_box("renamed")'),
)
STEPS = {"uploading": "upload", "placed": "upload", "renamed": "rename"}
LAUNCHERS = ("guest", "pid1", "launcher")


@pytest.fixture(scope="module")
def house(mode: str) -> Iterator[House]:
    """A service that stands still at the steps of errands too."""
    edits = [*EDITS, *ERRAND_EDITS, FEW_SLOTS]
    house = House(mode, edits=edits, flags=["--max-sessions", str(MAX_SESSIONS)], waiting=0)
    try:
        house.start()
        yield house
        house.audit()
    finally:
        house.close()


def send(house: House, step: str, errand: Errand) -> int:
    """Send an errand to its step; return who stands still there."""
    if step in INSIDE:
        house.arm(step)  # it goes into the box with its pid 1
    errand.start()
    assert errand.ready.wait(20)
    if step not in INSIDE:
        house.arm(step)
    errand.go.set()
    return house.wait_for(lambda: standing_at(step))


@pytest.mark.parametrize("target", LAUNCHERS)
@pytest.mark.parametrize("step", STEPS)
def test_a_part_of_the_launcher_s_is_killed_in_an_errand(house: House, step: str, target: str) -> None:
    errand = Errand(house.address, STEPS[step])
    wake = go_on(send(house, step, errand))
    house.kill(house.victim(target))
    wake()
    errand.finish()
    if target == "guest":
        # pid 1 serves files, whoever its guest is.
        assert errand.told is None, errand.told
        assert errand.sandbox.files.read("file", format="bytes") == NEW
        names = {entry.path for entry in errand.sandbox.files.list()}
        assert names == ({"file", "other"} if STEPS[step] == "upload" else {"file"})
    else:
        gone = isinstance(errand.told, FaultError) and errand.told.code == "EXECUTOR_UNAVAILABLE"
        assert gone or isinstance(errand.told, SessionLostError), errand.told
    errand.sandbox.close()
    house.assert_nothing_more()
    house.assert_serves()
    house.assert_quiet()


@pytest.mark.parametrize("step", STEPS)
def test_a_client_is_killed_in_an_errand(house: House, step: str) -> None:
    if step in INSIDE:
        house.arm(step)
    client = ErrandProcess(house.address, STEPS[step], VISITORS)
    if step not in INSIDE:
        house.arm(step)
    client.go()
    wake = go_on(house.wait_for(lambda: standing_at(step)))
    client.kill()
    wake()
    house.assert_quiet()
    house.assert_serves()


@pytest.mark.parametrize("step", STEPS)
def test_the_front_is_killed_in_an_errand(house: House, step: str) -> None:
    errand = Errand(house.address, STEPS[step])
    wake = go_on(send(house, step, errand))
    house.kill(house.front)
    wake()
    house.buried()
    house.assert_nothing()
    house.log()
    house.start()
    errand.finish()
    assert isinstance(errand.told, SandboxError), "a front that is gone has kept no file"
    errand.sandbox.close()
    house.assert_serves()
    house.assert_quiet()
