"""At rest between snippets, through the real daemon, both ways: frozen by cgroup v2, and stopped by SIGSTOP.

The stopped one is the positive control: what a program must not notice when it is frozen, it does notice there.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jail_boxes
import pytest
from mutants import Edit, make_mutant
from sandboxd_client import Outcome, Sandbox

pytestmark = pytest.mark.userns

NO_FREEZER = Edit("launcher/cgroups/detect.py", 'V2_CORE = ("cpu", "freezer")', "V2_CORE = ()")
# No process can enter a group by itself, none can be born in one: the launcher has to move them.
NO_SELF_SERVICE = (
    Edit("jail/groups.py", "        join([fd])", "        raise OSError(1)"),
    Edit("jail/kernel.py", '"clone3": 435', '"clone3": 9999'),
)
PAUSE_SECONDS = 0.3
_marks = itertools.count()

# A thread, a child, and an orphan in a session of its own, which pid 1 adopts; each counts in a file.
BUSY = """
import os, threading, time
def count(name):
    while True:
        with open(name, "a") as file:
            file.write("x")
        time.sleep(0.002)
if os.fork() == 0:
    count("child")
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        count("orphan")
    os._exit(0)
threading.Thread(target=count, args=("thread",), daemon=True).start()
time.sleep(0.1)
"""
NAMES = ("child", "orphan", "thread")


@pytest.fixture(scope="module", params=["frozen", "stopped", "moved"])
def house(request, start_module_daemon, tmp_path_factory) -> SimpleNamespace:
    edits = {"frozen": (), "stopped": (NO_FREEZER,), "moved": NO_SELF_SERVICE}[request.param]
    tree = make_mutant(tmp_path_factory.mktemp("tree"), edits) if edits else None
    daemon = start_module_daemon("--allow-unscreened", tree=tree)
    assert not daemon.error, daemon.error
    with Sandbox("unscreened", daemon.address) as sandbox:
        rows = {row.name: row for row in sandbox.protections}
    assert rows["stopped_between_snippets"].active
    frozen = rows["frozen_between_snippets"].active
    if request.param == "stopped":
        assert not frozen
    elif not frozen:
        detail = rows["frozen_between_snippets"].detail
        assert detail
        if os.geteuid() == 0 or os.environ.get("SANDBOXD_TEST_DELEGATED"):
            pytest.fail(f"the freezer is there for this user, and off: {detail}")
        pytest.skip(detail)
    return SimpleNamespace(daemon=daemon, frozen=frozen)


@pytest.fixture
def sandbox(house) -> Iterator[Sandbox]:
    with Sandbox("unscreened", house.daemon.address) as sandbox:
        yield sandbox


def inmates(house) -> list[int]:
    """Everything that runs in sessions of this daemon, but pid 1."""
    return jail_boxes.find("inmate", house.daemon.process.pid)


def guest_of(house, sandbox: Sandbox) -> int:
    """The interpreter of a session, by a name that it gives itself."""
    name = f"mark-{next(_marks)}"
    sandbox.run_code(f"import ctypes; ctypes.CDLL(None).prctl(15, b'{name}')")
    (found,) = [pid for pid in inmates(house) if Path(f"/proc/{pid}/comm").read_text().strip() == name]
    return found


def soon(check: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def settled(read: Callable[[], Any]) -> Any:
    """Wait for the stop, which comes some time after the result, and return what stands still from then on."""
    seen = [read()]
    assert soon(lambda: time.sleep(0.1) is None and (seen.append(read()) or seen[-2] == seen[-1]))
    return seen[-1]


def sizes(sandbox: Sandbox) -> list[int]:
    return [sandbox.files.stat(name).size_bytes for name in NAMES]


def test_threads_children_and_orphans_stand_still_and_go_on(sandbox):
    sandbox.run_code(BUSY)
    before = settled(lambda: sizes(sandbox))
    assert min(before) > 0
    time.sleep(PAUSE_SECONDS)
    assert sizes(sandbox) == before
    sandbox.run_code("time.sleep(0.2)")
    assert all(now > then for now, then in zip(sizes(sandbox), before, strict=True))


def test_a_fork_bomb_that_was_left_uses_no_processor(house, sandbox):
    sandbox.run_code("""
import os
if os.fork() == 0:
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            pass
""")
    time.sleep(0.1)
    if house.frozen:
        counter = jail_boxes.group_of(guest_of(house, sandbox)).parent / "cpu.stat"
        used = settled(counter.read_text)
        time.sleep(PAUSE_SECONDS)
        assert counter.read_text() == used
    assert sandbox.run_code("6 * 7").text == "42"


# What tells a program that it or its child was stopped: a wait status, SIGCHLD, its own SIGCONT.
WATCH = """
import os, signal, time
seen = []
for number in (signal.SIGCHLD, signal.SIGCONT):
    signal.signal(number, lambda number, frame: seen.append(signal.Signals(number).name))
child = os.fork()
if child == 0:
    while True:
        time.sleep(60)
"""
NOTICED = "seen + ['status' for _ in [0] if os.waitpid(child, os.WUNTRACED | os.WCONTINUED | os.WNOHANG)[0]]"


def test_a_program_notices_nothing_of_being_frozen(house, sandbox):
    sandbox.run_code(WATCH)
    for _ in range(3):
        time.sleep(0.1)
        noticed = sandbox.run_code(NOTICED).text
    if house.frozen:
        assert noticed == "[]"
    else:
        assert "SIGCONT" in noticed, "else this test cannot fail"
    assert "SIGCONT" in sandbox.run_code("os.kill(os.getpid(), signal.SIGCONT); time.sleep(0.01); seen").text


def test_neither_timers_nor_sigcont_wake_it(house, sandbox):
    sandbox.run_code("""
import signal
def tick(*_):
    with open("ticks", "a") as file:
        file.write("x")
for number in (signal.SIGALRM, signal.SIGCONT):
    signal.signal(number, tick)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
time = __import__("time")
time.sleep(0.05)
""")
    guest = guest_of(house, sandbox)
    before = settled(lambda: sandbox.files.stat("ticks").size_bytes)
    assert before > 0
    time.sleep(PAUSE_SECONDS)
    assert sandbox.files.stat("ticks").size_bytes == before
    os.kill(guest, signal.SIGCONT)  # from outside: none in the box can send one
    time.sleep(PAUSE_SECONDS)
    if house.frozen:
        assert sandbox.files.stat("ticks").size_bytes == before
    else:
        assert sandbox.files.stat("ticks").size_bytes > before, "else this test cannot fail"
    sandbox.run_code("time.sleep(0.05)")
    assert sandbox.files.stat("ticks").size_bytes > before


def test_files_are_served_at_rest(sandbox):
    sandbox.run_code(BUSY)
    sandbox.files.write("up.txt", b"from outside")
    assert "up.txt" in {entry.path for entry in sandbox.files.list(".")}
    assert sandbox.files.read("up.txt", format="bytes") == b"from outside"
    sandbox.files.remove("up.txt")
    assert sandbox.run_code("os.path.exists('up.txt')").text == "False"


def test_a_kill_at_rest_takes_effect_at_once_and_the_next_guest_rests_too(house, sandbox):
    sandbox.run_code(BUSY)
    sandbox.run_code("kept = 1")
    guest = guest_of(house, sandbox)
    time.sleep(0.05)
    os.kill(guest, signal.SIGKILL)
    assert soon(lambda: not Path(f"/proc/{guest}").exists(), 1)
    time.sleep(0.3)
    execution = sandbox.run_code("'kept' in globals()")
    assert (execution.outcome, execution.text) == (Outcome.OK, "False")
    assert execution.variables_lost
    after = sizes(sandbox)
    sandbox.run_code(BUSY)
    again = settled(lambda: sizes(sandbox))
    assert all(now > then for now, then in zip(again, after, strict=True)), "no leftover, and new ones ran"
    time.sleep(PAUSE_SECONDS)
    assert sizes(sandbox) == again


def test_deadline_and_kill_work_after_a_rest(sandbox):
    sandbox.run_code("kept = 1")
    assert sandbox.run_code("while True: pass", timeout=0.2).outcome is Outcome.TIMEOUT_WALL
    assert sandbox.run_code("kept").text == "1"
    code = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nwhile True: pass"
    execution = sandbox.run_code(code, timeout=0.2)
    assert (execution.outcome, execution.variables_lost) == (Outcome.TIMEOUT_WALL, True)
    assert sandbox.run_code("1").text == "1"


def test_many_snippets_in_a_row_are_woken_each_time(sandbox):
    sandbox.run_code("total = 0")
    for _ in range(30):
        sandbox.run_code("total += 1")
    assert sandbox.run_code("total").text == "30"


def test_a_session_at_rest_closes_at_once_and_leaves_nothing(house):
    sandbox = Sandbox("unscreened", house.daemon.address).open()
    sandbox.run_code("import os, time\nfor _ in range(10):\n  if os.fork() == 0: time.sleep(600)")
    guest = guest_of(house, sandbox)
    members, box = set(inmates(house)), jail_boxes.group_of(guest).parent
    began = time.monotonic()
    sandbox.close()
    assert time.monotonic() - began < 2
    assert guest not in inmates(house)
    assert len(members - set(inmates(house))) >= 11
    if house.frozen:
        assert not box.exists()


def test_pid_1_stays_outside_the_frozen_group(house, sandbox):
    guest = guest_of(house, sandbox)
    if not house.frozen:
        assert jail_boxes.group_of(guest).name != "guest", "else it would be frozen too"
        return
    group, pid_1 = (
        jail_boxes.group_of(guest),
        next(
            process.parent for process in jail_boxes.family(house.daemon.process.pid) if process.pid == guest
        ),
    )
    assert group.name == "guest"
    assert jail_boxes.group_of(pid_1) == group.parent
    assert soon(lambda: "frozen 1" in (group / "cgroup.events").read_text())
    assert "frozen 0" in (group.parent / "cgroup.events").read_text()
    assert sandbox.run_code("open('/proc/self/cgroup').read()").text.count("sandboxd") == 0
    assert soon(lambda: (group / "cgroup.freeze").read_text().strip() == "1"), "at rest again"
