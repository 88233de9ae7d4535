"""Every part is killed in the midst of what a client asks beside running code: nothing is left, and errors are typed.

The steps, by who stands still. Files: the front has all bytes of a file and has not asked for its name (uploading); pid 1 has
linked it beside the one that it replaces (placed), is about to rename a file (renamed). Forks, for a live clone (live), a
checkpoint (chec), a rollback (rest): the launcher has made the ends and not told pid 1 (ordered); the interpreter is about to
fork (forking); the clone has adopted no descriptor yet (adopt), has copied nothing yet (copy);
pid 1 knows who was born (hear); the launcher has the clone and the front has not (handed); a rollback has ended the old
interpreter (halted). Tools: the call is not in the log (unlogged), or is and the
client has not heard (logged); the client's answer has come (answered); and the client runs the tool (called).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from sandboxd_client import (
    FaultError,
    InDoubtError,
    NotStartedError,
    RefusedError,
    SandboxError,
    SessionLostError,
)
from traces import family

from crash.errands import NEW, Errand, ErrandProcess
from crash.house import FEW_SLOTS, MAX_SESSIONS, VISITORS, Ended, House
from crash.steps import EDITS, INSIDE, ahead, before, from_above, go_on, importing, standing_at

pytestmark = pytest.mark.userns

_FILES, _CRADLE, _BIRTHS, _FORKS = "jail/files.py", "jail/cradle.py", "jail/births.py", "launcher/forks.py"
ERRAND_EDITS = (
    before("service/transfers.py", "        keep = True\n    finally:", from_above("uploading")),
    *map(importing, (_FILES, _CRADLE, _BIRTHS)),
    ahead(_FILES, "os.rename(temporary, name,", 'pause.in_box("placed")'),
    ahead(_FILES, "os.rename(old_name, new_name,", 'pause.in_box("renamed")'),
    ahead(_FORKS, "waiting = pid1.expect(", from_above("ordered")),
    ahead(_FORKS, "self._box.members[number] = member", from_above("handed")),
    ahead(_FORKS, "order = self._order(number, request, member.number, RESTORE", from_above("halted")),
    ahead(_CRADLE, "fds, order.fds = order.fds, []", 'pause.in_box("adopt-" + order.kind[:4])'),
    before(_CRADLE, "        if order.kind == RESTORE:", 'pause.in_box("copy-" + order.kind[:4])'),
    ahead(_BIRTHS, 'self._family.put(message["member"]', 'pause.in_box("hear-" + message["kind"][:4])'),
    ahead(_CRADLE, "return kernel.fork_beside()", 'pause.in_box("forking")'),
    ahead("tools/calls.py", 'await log.before("tool_call"', from_above("unlogged")),
    ahead("tools/broker.py", "call = ToolCall(call_id", from_above("logged")),
    ahead("tools/broker.py", "self._finish(out, Ended(ToolState.FINISHED", from_above("answered")),
)
STEPS = {
    "uploading": "upload", "placed": "upload", "renamed": "rename",
    "ordered": "fork", "forking": "fork", "adopt-live": "fork", "copy-live": "fork", "hear-live": "fork", "handed": "fork",
    "copy-chec": "checkpoint", "hear-chec": "checkpoint",
    "halted": "rollback", "adopt-rest": "rollback", "copy-rest": "rollback", "hear-rest": "rollback",
    "unlogged": "call", "logged": "call", "called": "call", "answered": "call",
}  # fmt: skip
TARGETS = ("guest", "clone", "pid1", "launcher")
# Where there is no such process: no clone yet, or its original is the one that was ended first.
NOBODY = {
    *((step, "clone") for step, kind in STEPS.items() if kind in {"upload", "rename", "call"}),
    *((step, "clone") for step in ("ordered", "forking", "halted")),
    *((step, "guest") for step, kind in STEPS.items() if kind == "rollback"),
}
PAIRS = [(step, target) for step in STEPS for target in TARGETS if (step, target) not in NOBODY]
# One in three ways of a clone to be told of; the others have what is theirs alone.
FEW = frozenset(
    {
        "uploading",
        "ordered",
        "copy-live",
        "handed",
        "hear-chec",
        "halted",
        "copy-rest",
        "logged",
        "called",
        "answered",
    }
)
BY_CLIENT = frozenset({"called", "answered"})  # its tool is what waits, or has ended
LOST = Ended(1, 1, "infrastructure", "SESSION_LOST")
KILLED = Ended(1, 1, "killed", "SIGKILL")
RESTARTED = Ended(1, 1, "infrastructure", "DAEMON_RESTARTED")
GONE = frozenset({"EXECUTOR_UNAVAILABLE", "EXECUTOR_LOST", "FORK_FAILED"})


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


def send(house: House, step: str, errand: Errand) -> Callable[[], None]:
    """Send an errand to its step; return what lets whoever stands still there go on."""
    if step in INSIDE:
        house.arm(step)  # it goes into the box with its pid 1
    errand.start()
    assert errand.ready.wait(20)
    if step not in INSIDE:
        house.arm(step)
    errand.go.set()
    if step == "called":
        assert errand.desk.called.wait(20)
        return errand.desk.go.set
    if step == "answered":
        assert errand.desk.called.wait(20)
        errand.desk.go.set()
    return go_on(house.wait_for(lambda: standing_at(step)))


def victim(house: House, target: str) -> int:
    """Return who is to die: of the members of a tree the first, or the one that was born last."""
    if target != "clone":
        return house.victim(target)
    pid1 = house.victim("pid1")
    return max(process.pid for process in family() if process.role == "inmate" and process.parent == pid1)


@contextlib.contextmanager
def errand_to(house: House, kind: str) -> Iterator[Errand]:
    """Prepare an errand; whatever comes of it, its client leaves in the end."""
    errand = Errand(house.address, kind)
    try:
        yield errand
    finally:
        errand.go.set()
        errand.desk.go.set()
        errand.sandbox.close()


def look_around(house: House) -> None:
    """See that all is as it was, and serves."""
    house.assert_nothing_more()
    house.assert_serves()
    house.assert_quiet()


@pytest.mark.parametrize(("step", "target"), PAIRS)
def test_a_part_of_the_launcher_s_is_killed_in_an_errand(house: House, step: str, target: str) -> None:
    with errand_to(house, STEPS[step]) as errand:
        wake = send(house, step, errand)
        house.kill(victim(house, target))
        wake()
        errand.finish()
        if STEPS[step] in {"upload", "rename"} and target == "guest":
            assert errand.told is None, errand.told  # pid 1 serves files, whoever its guest is
            assert errand.sandbox.files.read("file", format="bytes") == NEW
        else:
            # What was handed out before was success; that it is gone now is told by what is asked of it next.
            gone = target in {"pid1", "launcher"} and STEPS[step] != "call" and step != "handed"
            check_told(errand.told, gone=gone)
    if STEPS[step] == "call":
        assert house.ended(errand.execution_id) in {KILLED, LOST}, house.ended(errand.execution_id)
    look_around(house)


def check_told(told: SandboxError | None, *, gone: bool) -> None:
    """Hold what a client was told against what happened: a typed error, or success where the session lives."""
    if told is None:
        assert not gone, "the session is gone, and its client was told of success"
        return
    lost = isinstance(told, SessionLostError)
    assert lost or isinstance(told, (FaultError, InDoubtError, NotStartedError, RefusedError)), repr(told)
    assert lost or told.code in GONE, told


@pytest.mark.parametrize("step", sorted(FEW - BY_CLIENT))
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
    ended = house.ended(client.execution_id)
    assert ended.intents == ended.outcomes, ended


@pytest.mark.parametrize("step", sorted(FEW))
def test_the_front_is_killed_in_an_errand(house: House, step: str) -> None:
    with errand_to(house, STEPS[step]) as errand:
        wake = send(house, step, errand)
        house.kill(house.front)
        wake()
        house.buried()
        house.assert_nothing()
        house.log()
        house.start()
        errand.finish()
        assert isinstance(errand.told, SandboxError), "a front that is gone has kept nothing"
    if STEPS[step] == "call":
        assert house.ended(errand.execution_id) == RESTARTED
    house.assert_serves()
    house.assert_quiet()
