"""A daemon to be killed: started from a mutant, watched, asked what its log says, started again on the same state."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from daemons import Daemon, end_daemon_process, start_daemon_process
from mutants import Edit, make_mutant
from sandboxd_client import NotStartedError, Sandbox
from traces import Snapshot, descent, differences, family, look, reap, settle, surplus

from crash import heaps, steps
from crash.modes import CGROUPS, MODES, Mode, make_cages, remove_cages
from sandboxd.log import verify
from sandboxd.log.segments import list_segments

MAX_SESSIONS = 3
LEASE_SECONDS = 0.2
EQUAL_LOOKS = 5
SETTLE_SECONDS = 10.0
STATE_FILES = (".", "lock", "version", "key", "incarnation", "log", "log/log-*.jsonl")
VISITORS: set[int] = set()
"""Pids of the test's own client processes, which are no part of a daemon."""
# As many id slots as sessions: one that is not given back is missed at once.
FEW_SLOTS = Edit("launcher/idmaps.py", "SLOTS = 32_768", f"SLOTS = {MAX_SESSIONS}")


@dataclass(frozen=True, slots=True)
class Ended:
    """What the log has of one execution: how many intents and outcomes, and the outcome with its evidence."""

    intents: int = 0
    outcomes: int = 0
    outcome: str = ""
    code: str = ""


class House:
    """A daemon of one mode and all that it may leave behind.

    Args:
        mode: a name in `MODES`.
        edits: what else is changed in its source.
        flags: for `sandboxd serve`.
        waiting: boxes in its pool, always.
        ephemeral: embedded in full: the daemon ends with its launcher and its directory with both. Otherwise a service."""

    def __init__(
        self,
        mode: str,
        *,
        edits: Iterable[Edit] = (),
        flags: Iterable[str] = (),
        waiting: int = 2,
        ephemeral: bool = False,
    ) -> None:
        self.mode: Mode = MODES[mode]
        self._base = Path(tempfile.mkdtemp(prefix="sandboxd-crash-"))
        self.runtime, self.state = self._base / "run", self._base / "state"
        self._ephemeral = ephemeral
        self._waiting = waiting
        # A pool that grows and shrinks with demand is no leak, and cannot be told from one.
        pool = ["--pool-size", str(waiting), "--pool-max", str(waiting), "--pool-fresh", "0"]
        self._flags = ["--allow-unscreened", "--lease-seconds", str(LEASE_SECONDS), *pool, *flags]
        self._armed, self._temporary = self._base / "armed", self._base / "tmp"
        for place in (self._armed, self._temporary):
            place.mkdir()
        self._tree = make_mutant(self._base / "tree", [*self.mode.edits, *edits])
        steps.add_pauses(self._tree, self._armed)
        heaps.add_probe(self._tree, self._armed)
        self._cages = make_cages()
        self._python = self._make_python()
        self.daemon: Daemon | None = None
        self.quiet: Snapshot | None = None
        if not ephemeral:
            # A file makes the directory somebody's: what the daemon takes away is its own alone, as in a service.
            self.runtime.mkdir(mode=0o700)
            (self.runtime / "kept").touch()
        self.nothing = self._nothing()

    def _make_python(self) -> Path:
        """Make the interpreter's stand-in that goes into the cages first."""
        script = self._base / "python"
        entering = "".join(f"echo $$ > {cage}/cgroup.procs\n" for cage in self._cages)
        script.write_text(
            f'#!/bin/sh\n{entering}export TMPDIR={self._temporary}\nexec {sys.executable} "$@"\n'
        )
        script.chmod(0o755)
        return script

    def _nothing(self) -> Snapshot:
        """Tell what is there when the daemon is not: its state."""
        found = self.snapshot()
        files = found.rows["files"].copy()
        files.update(f"state/{name}" for name in STATE_FILES)
        return replace(found, rows={**found.rows, "files": files})

    def snapshot(self) -> Snapshot:
        """Take stock of everything that is this house's."""
        return Snapshot.take(
            spare=VISITORS,
            directories=[self.runtime, self.state, self._temporary],
            cages=self._cages,
        )

    @property
    def address(self) -> str:
        return f"unix:{self.runtime}/sandboxd.sock"

    @property
    def front(self) -> int:
        assert self.daemon is not None
        return self.daemon.process.pid

    # ---- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the daemon, have it do something once, and remember what a quiet house looks like, always the same."""
        self.daemon = start_daemon_process(
            self.runtime, self.state, *self._flags, python=str(self._python), tree=self._tree
        )
        assert not self.daemon.error, self.daemon.error
        if self.quiet is not None:
            return
        assert self.run("1 + 1") == "2"
        self.come_to_rest()

    def come_to_rest(self) -> None:
        """Wait until nothing changes any more, and remember that."""
        until = time.monotonic() + SETTLE_SECONDS
        equal = 0
        while equal < EQUAL_LOOKS:
            assert time.monotonic() < until, "the house does not come to rest"
            before, self.quiet = self.quiet, self.snapshot()
            processes = self.quiet.rows["processes"]
            full = processes["waiting"] == self._waiting and not processes["inmate"]
            equal = equal + 1 if full and before is not None and not differences(before, self.quiet) else 0
            time.sleep(0.05)

    def stop(self) -> None:
        """End the daemon in order."""
        if self.daemon is not None:
            self.daemon.terminate()
            end_daemon_process(self.daemon)

    def close(self) -> None:
        """End whatever a test left, and take everything away."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        for process in family():
            if process.role != "other":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        settle(lambda: [p.role for p in family() if p.role != "other"])
        reap()
        remove_cages(self._cages)
        shutil.rmtree(self._base, ignore_errors=True)

    def buried(self) -> None:
        """Wait for a front that was killed."""
        assert self.daemon is not None
        self.daemon.process.wait(20)
        end_daemon_process(self.daemon)

    # ---- what is seen ----------------------------------------------------------------------------------------------

    def assert_quiet(self) -> None:
        """Wait until all is as it was when the house was quiet."""
        quiet = self.quiet
        assert quiet is not None
        left = settle(lambda: differences(quiet, self.snapshot()), SETTLE_SECONDS)
        assert not left, left

    def assert_nothing_more(self) -> None:
        """Wait until nothing is there that was not in the quiet house, without any help."""
        quiet = self.quiet
        assert quiet is not None
        left = settle(lambda: surplus(quiet, self.snapshot()), SETTLE_SECONDS)
        assert not left, left

    def assert_nothing(self) -> None:
        """Wait until the state directory is all that is left."""
        left = settle(lambda: differences(self.nothing, self.snapshot()), SETTLE_SECONDS)
        assert not left, left

    def assert_serves(self) -> None:
        """Open as many sessions as there may be, one after the other, and use each."""
        with contextlib.ExitStack() as stack:
            for number in range(MAX_SESSIONS):
                sandbox = stack.enter_context(Sandbox(address=self.address))
                assert sandbox.run_code(f"{number} + 1").text == str(number + 1)
            try:
                Sandbox(address=self.address).open().close()
            except NotStartedError as error:
                assert error.code == "QUOTA_SESSIONS", error
            else:
                raise AssertionError("one session more than there may be")

    def run(self, code: str) -> str | None:
        """Run code in a session of its own."""
        with Sandbox("unscreened", self.address) as sandbox:
            return sandbox.run_code(code).text

    def heaps(self) -> dict[str, float]:
        """Tell what front and launcher have in use of their heaps; needs `heaps.EDITS`."""
        asked = {name: heaps.ask(self._armed, name, self.victim(name)) for name in ("front", "launcher")}
        return {f"{what} of {name}": value for name, told in asked.items() for what, value in told.items()}

    # ---- steps and victims -----------------------------------------------------------------------------------------

    def arm(self, step: str) -> None:
        """Have whoever comes to a step next stand still there."""
        (self._armed / step).touch()

    def wait_for(self, ready: Callable[[], int], seconds: float = 20.0) -> int:
        """Wait for a pid that is not 0."""
        until = time.monotonic() + seconds
        while not (pid := ready()):
            assert time.monotonic() < until, "the step was not reached"
            time.sleep(0.005)
        return pid

    def victim(self, target: str) -> int:
        """Return the pid of the one part that is to die; of a box's inmates the interpreter, child of its pid 1."""
        if target == "front":
            return self.front
        if target == "guest":
            inmates = [process for process in family() if process.role in {"inmate", "waiting"}]
            return next(process.pid for process in inmates if _role_of(process.parent) == "pid1")
        members = [process for process in family() if process.role == target]
        if target == "launcher":  # what it has just forked still looks like it
            members = [process for process in members if process.parent == self.front]
        (process,) = members
        return process.pid

    @staticmethod
    def kill(pid: int) -> None:
        """Kill a process, and wait until it is dead: a busy machine may let it run on for a while."""
        os.kill(pid, signal.SIGKILL)
        assert not settle(lambda: [pid for process in [look(pid)] if process and process.state != "Z"])

    def resting(self) -> int:
        """Return a guest that rests between two snippets, 0 when there is none."""
        for pid in descent():
            process = look(pid)
            if process is not None and process.role == "inmate" and (process.state == "T" or _is_frozen(pid)):
                return pid
        return 0

    # ---- the log ---------------------------------------------------------------------------------------------------

    def ended(self, execution_id: str) -> Ended:
        """Tell what the log has of an execution."""
        return self.log().get(execution_id, Ended())

    def log(self) -> dict[str, Ended]:
        """Read the log, which must verify: executions by id."""
        report = verify(self.state / "log")
        assert report.ok, report
        found: dict[str, Ended] = {}
        for path in list_segments(self.state / "log"):
            for line in path.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):  # else it is being written, or was torn
                    _count(found, json.loads(line))
        return found

    def audit(self) -> None:
        """Have the command itself verify the log."""
        command = [sys.executable, "-m", "sandboxd", "audit", "verify", str(self.state / "log")]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def _is_frozen(pid: int) -> bool:
    """Tell whether a process's v2 group is frozen, where there is one."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        where = next(line[4:] for line in lines if line.startswith("0::/"))
        places = (CGROUPS / "unified" / where, CGROUPS / where)
        events = next(place / "cgroup.events" for place in places if (place / "cgroup.events").exists())
        return "frozen 1" in events.read_text()
    return False


def _role_of(pid: int) -> str:
    process = look(pid)
    return process.role if process is not None else ""


def _count(found: dict[str, Ended], record: dict[str, str]) -> None:
    known = found.get(record.get("execution_id", ""), Ended())
    if record["kind"] == "execution_intent":
        found[record["execution_id"]] = replace(known, intents=known.intents + 1)
    elif record["kind"] == "execution_outcome":
        evidence = record.get("evidence") or {}
        assert isinstance(evidence, dict)
        found[record["execution_id"]] = replace(
            known, outcomes=known.outcomes + 1, outcome=record["outcome"], code=str(evidence.get("code", ""))
        )
