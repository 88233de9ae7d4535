"""Each control of forks, and what succeeds in a copy of the daemon that is without it; restricted sessions fork too."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest
from mutants import Edit, make_mutant
from sandboxd_client import RefusedError, Sandbox

from sandboxd.hosts.descriptors import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from daemons import StartDaemon

pytestmark = pytest.mark.userns

LAYER = Edit(
    "jail/cradle.py",
    "landlock.confine(order.home, mounts.SHARED, devices, self._roots)",
    "pass",
)
WHO = Edit("jail/births.py", "if not code and (self._family.holds(pid) or not _is_child(pid)):", "if False:")
THREADS = Edit("guest/forking.py", "    if threads == 1:\n", "    if threads:\n")
RESEED = Edit("guest/forking.py", "hygiene.reseed_clone(self._names)", "pass")


@pytest.fixture
def without(start_daemon: StartDaemon, short_dir: Path) -> object:
    """Open a sandbox in a daemon whose source lacks a control."""

    def open_one(*edits: Edit) -> AbstractContextManager[Sandbox]:
        tree = make_mutant(short_dir / "tree", edits) if edits else None
        state = "changed" if edits else "state"
        daemon = start_daemon("--allow-unscreened", tree=tree, state=state)
        assert not daemon.error, daemon.error
        return Sandbox("unscreened", daemon.address)

    return open_one


def has_landlock(sandbox: Sandbox) -> bool:
    return any(row.name == "landlock" and row.active for row in sandbox.info.protections)


def reads_the_original(sandbox: Sandbox) -> bool:
    sandbox.run_code("open('/work/mine', 'w').write('original')")
    with sandbox.fork()[0] as clone:
        return bool(clone.run_code("open('/work/mine').read()").ok)


def test_the_clones_layer_keeps_the_originals_files_from_it(without) -> None:
    with without() as sandbox:
        if not has_landlock(sandbox):
            pytest.skip("this host has no Landlock")
        assert not reads_the_original(sandbox)
    with without(LAYER) as sandbox:
        assert reads_the_original(sandbox)


FORGE = """
import json, os, socket, threading
def answer():
    nursery = socket.socket(fileno=os.dup(4))
    nursery.setblocking(True)
    while True:
        _, fds, _, _ = socket.recv_fds(nursery, 65536, 16)
        socket.socket(fileno=fds[-1]).send(b'{"op": "born"}')
for _ in range(3):
    threading.Thread(target=answer, daemon=True).start()
"""


def a_member_passes_for_a_clone(sandbox: Sandbox) -> bool:
    assert sandbox.run_code(FORGE).ok
    for _ in range(5):  # the interpreter itself waits for the order too, and refuses: it has threads
        try:
            sandbox.fork()
        except RefusedError:
            continue
        return True
    return False


def test_the_kernels_word_tells_who_was_born(without) -> None:
    with without() as sandbox:
        assert not a_member_passes_for_a_clone(sandbox)
    with without(WHO) as sandbox:
        assert a_member_passes_for_a_clone(sandbox)


def test_a_process_of_several_threads_would_be_half_cloned(without) -> None:
    code = "import threading\nstop = threading.Event()\nthreading.Thread(target=stop.wait).start()"
    with without() as sandbox:
        assert sandbox.run_code(code).ok
        with pytest.raises(RefusedError, match="FORK_REFUSED"):
            sandbox.fork()
        sandbox.run_code("stop.set()")
    with without(THREADS) as sandbox:
        assert sandbox.run_code(code).ok
        with sandbox.fork()[0] as clone:
            assert clone.run_code("import os; len(os.listdir('/proc/self/task'))").text == "1", (
                "its thread is gone"
            )
        sandbox.run_code("stop.set()")


def numpys_or_uuids_state(sandbox: Sandbox) -> bool:
    """Tell whether two clones go on with the same temporary names: what nothing but our own reseeding changes."""
    sandbox.run_code("import tempfile\nnames = tempfile._get_candidate_names()\nnext(names)")
    one, two = sandbox.fork(2)
    with one, two:
        draw = "next(tempfile._get_candidate_names()); tempfile._name_sequence is names"
        return one.run_code(draw).text == two.run_code(draw).text == "True"


def test_clones_draw_names_of_their_own(without) -> None:
    with without() as sandbox:
        assert not numpys_or_uuids_state(sandbox)
    with without(RESEED) as sandbox:
        assert numpys_or_uuids_state(sandbox)


@pytest.fixture
def restricted(start_daemon: StartDaemon) -> Iterator[Sandbox]:
    with Sandbox("pure", start_daemon().address) as sandbox:
        yield sandbox


def test_a_restricted_session_forks_and_its_files_go_with_it(restricted: Sandbox) -> None:
    assert restricted.run_code("x = 1\nwith open('kept', 'w') as f:\n    f.write('original')").ok
    restricted.checkpoint("a")
    with restricted.fork()[0] as clone:
        done = clone.run_code(
            "x += 1\nwith open('kept') as f:\n    print(f.read(), x)\nwith open('kept', 'w') as f:\n    f.write('clone')"
        )
        assert done.ok, done
        assert "".join(done.logs.stdout) == "original 2\n"
        refused = clone.run_code("open('/work/kept')")
        assert refused.error is not None
        assert refused.error.name == "PermissionError"
        # Not Landlock alone: the guard itself knows the clone's directory.
        assert "not available in restricted code" in refused.error.value
    assert restricted.run_code("with open('/work/kept') as f:\n    print(f.read(), x)").logs.stdout == [
        "original 1\n"
    ]
    restricted.run_code("x = 5")
    restricted.rollback("a")
    assert restricted.run_code("with open('/work/kept') as f:\n    print(f.read(), x)").logs.stdout == [
        "original 1\n"
    ]
    assert not restricted.run_code("open('/etc/passwd')").ok, "it is restricted still"


def test_the_daemon_has_the_descriptors_that_its_host_allows(start_daemon: StartDaemon) -> None:
    """One client's clones must not use up those of all: without room for them the launcher's messages are broken."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    daemon = start_daemon(
        "--allow-unscreened", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    )
    soft, _ = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    assert soft == (MOST if hard == resource.RLIM_INFINITY else min(hard, MOST))
    with Sandbox("unscreened", daemon.address) as sandbox:
        code = "import resource; resource.getrlimit(resource.RLIMIT_NOFILE)"
        assert sandbox.run_code(code).text == "(1024, 1024)", "a guest's own limit is untouched"
