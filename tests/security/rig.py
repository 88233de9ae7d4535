"""The rig: the real daemon with the screen off, attacks driven through the client, and a judge.

An attack succeeded if and only if its marker appears in what came out, or something of it is left on the host. Of a static
item the marker means nothing here: it is to be harmless, so only the second half counts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import traces
from attack import MARKER, Attack, cell
from daemons import Daemon, end_daemon_process, start_daemon_process
from mutants import REQUIRE_NOTHING, Edit, make_mutant
from sandboxd_client import Execution, Limits, RefusedError, Sandbox, SandboxError
from sandboxd_client.tools import Tool, tool

USER = "root" if os.geteuid() == 0 else "user"
CANARY = "canary-7d1c-attacks"
POLICY = "unscreened"
SETTLE_SECONDS = 8.0
CALLS_GRANTED = 100  # to a snippet, by policies/unscreened.yaml
# Above every id that a host hands out: a box's (`launcher/idmaps.py`).
FIRST_BOX_ID = 2_000_000_000
_ERRNO_AT_END = re.compile(r"(?:^|[ (])(\d{1,3})\)?$")
_NAME = re.compile(r"\b[A-Z]\w+\b")
_ERRNO_NAMES = frozenset(errno.errorcode.values())
_BETWEEN_BRACKETS = re.compile(r"\[Errno (\d+)\]")


class NoDaemonError(Exception):
    """The daemon does not start: its proof of the jail failed. The message is the code."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of an attack: did it succeed, and what stopped it."""

    success: bool
    by: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One execution, or the refusal in its place."""

    outcome: str
    text: str
    detail: str = ""

    @classmethod
    def of(cls, done: Execution) -> Cell:
        """Gather everything that a snippet can print into."""
        error = done.error
        spoken = [done.stdout, done.stderr, done.text or "", *(str(result.data) for result in done.results)]
        if error is not None:
            spoken += [error.name, error.value, error.traceback]
        return cls(done.outcome.value, "\n".join(spoken), error.name if error else done.evidence.code)


class Rig:
    """One daemon, perhaps a changed one, and the traces it is measured by."""

    def __init__(self, daemon: Daemon, base: Path) -> None:
        self.daemon = daemon
        self.base = base
        self.cgroups: list[Path] = []
        self._warm_up()
        self._settled = self._snapshot()
        self._host = _host()

    def _warm_up(self) -> None:
        # A mutant may open no box at all: its items say so.
        with contextlib.suppress(SandboxError), self.sandbox():
            self.cgroups = self._cgroups()
        if self.roles()["pid1"]:
            traces.settle(self._still_filling)

    def _still_filling(self) -> list[str]:
        """Wait for the pool: nothing changed within a moment."""
        before = self.roles()
        time.sleep(0.15)
        return [] if self.roles() == before else ["the pool"]

    def roles(self) -> Counter[str]:
        """Count the daemon's processes by role."""
        return Counter(process.role for process in traces.family(self.daemon.process.pid))

    def sandbox(self, tools: Sequence[Tool] = (), **limits: float) -> Sandbox:
        """Return a sandbox that is not open yet."""
        return Sandbox(POLICY, self.daemon.address, limits=_limits(limits), open_timeout=20, tools=tools)

    # ---- traces ---------------------------------------------------------------------------------------------

    def _cgroups(self) -> list[Path]:
        """Return the parents of this daemon's cgroups; none where it makes none."""
        for pid in traces.find("pid1", self.daemon.process.pid):
            if found := re.search(r"/(sandboxd-[0-9a-f]{8})/box-", _text(f"/proc/{pid}/cgroup")):
                walk = os.walk("/sys/fs/cgroup")
                return [Path(path) / found[1] for path, below, _ in walk if found[1] in below]
        return []

    def _snapshot(self) -> traces.Snapshot:
        places = [self.base / "run", self.base / "state"]
        return traces.Snapshot.take(root=self.daemon.process.pid, directories=places, cages=self.cgroups)

    def left(self) -> list[str]:
        """Wait until all is as it was before the first attack; return what is not."""

        def compare() -> list[str]:
            host = [f"host: {name}" for name, value in _host().items() if self._host[name] != value]
            return [*traces.differences(self._settled, self._snapshot()), *host]

        return traces.settle(compare, SETTLE_SECONDS)

    # ---- attacks --------------------------------------------------------------------------------------------

    def run(self, attack: Attack) -> Ran:
        """Run all cells of an attack and judge."""
        try:
            with self._witnesses(attack):
                cells = self._cells(attack)
        except SandboxError as error:
            return Ran(success=False, by=f"no box: {error.code or type(error).__name__}")
        escaped = any(MARKER in one.text for one in cells)
        wrong = attack.outcomes and cells[0].outcome not in attack.outcomes
        if wrong:
            return Ran(success=True, by=f"wrong outcome {cells[0].outcome} {cells[0].detail}".strip())
        if escaped and not attack.is_static:
            return Ran(success=True, by=_said(cells))
        return Ran(success=False, by=stopped_by(attack, cells, escaped=escaped))

    @contextlib.contextmanager
    def _witnesses(self, attack: Attack) -> Iterator[None]:
        """Hold a session of somebody else's, with a clone and a checkpoint: what a tree does to itself must not reach it."""
        if not attack.name.startswith(("tree/", "tools/")):
            yield
            return
        daemon = self.daemon.process.pid
        with self.sandbox() as other:
            other.run_code("kept = 1")
            other.checkpoint("kept")
            (clone,) = other.fork(1)
            with clone:
                yield
                for witness in (other, clone):
                    if witness.run_code("kept", timeout=10).text != "1":
                        raise AssertionError(f"{attack.name}: somebody else's session was hurt")
                other.rollback("kept")
        if self.daemon.process.poll() is not None or self.daemon.process.pid != daemon:
            raise AssertionError(f"{attack.name}: the daemon was hurt")

    def _cells(self, attack: Attack) -> list[Cell]:
        desk = Desk()
        with self.sandbox(desk.tools() if attack.tools else (), **dict(attack.limits)) as sandbox:
            if attack.back:
                sandbox.checkpoint("before")
            first = Cell.of(sandbox.run_code(cell(attack, attack.code), timeout=attack.timeout_seconds))
            cells = [first]
            if attack.clone:
                cells.append(_in_clone(attack, sandbox, first))
            if attack.back:
                cells.append(_rolled_back(attack, sandbox, first))
            if attack.beside:
                cells.append(self._elsewhere(attack, attack.beside, first))
            if attack.again:
                time.sleep(attack.pause_seconds)
                cells.append(Cell.of(sandbox.run_code(cell(attack, attack.again, first.text), timeout=10)))
                _need_ok(attack, cells[-1])
            if attack.expect in "BC" and not attack.again and attack.kind == "snippet":
                cells.append(_survival(sandbox))
            if attack.expect == "H" and attack.layer == "own":
                cells.append(_collect(sandbox))
        if attack.next:
            cells.append(self._elsewhere(attack, attack.next, first))
        return [*cells, Cell("ok", "\n".join(desk.said))]

    def _elsewhere(self, attack: Attack, code: str, first: Cell) -> Cell:
        with self.sandbox() as other:
            done = Cell.of(other.run_code(cell(attack, code, first.text), timeout=10))
        _need_ok(attack, done)
        return done


class Desk:
    """The tools of an attacked session. What they must never see is a success of the attack.

    Attributes:
        said: one marked line for each of these.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self._calls = 0

    def tools(self) -> list[Tool]:
        """Make them: one for code, one for a model's direct calls alone."""

        def double(number: int) -> int:
            """Double a number.

            Args:
                number: what to double.
            """
            self._calls += 1
            if type(number) is not int:
                self.said.append(f"{MARKER} the tool got {str(type(number))!r}")
            if self._calls == CALLS_GRANTED + 1:
                self.said.append(f"{MARKER} more calls than the policy grants")
            return 2 * number

        def wipe() -> str:
            """Wipe everything."""
            self.said.append(f"{MARKER} code called what only a model may")
            return "wiped"

        return [tool(double), tool(wipe, callers="direct")]


def _in_clone(attack: Attack, sandbox: Sandbox, first: Cell) -> Cell:
    """Run the clone's cell, or tell why there is no clone: what an attack does to its own forks is its own affair."""
    try:
        (clone,) = sandbox.fork(1)
    except RefusedError as error:
        return Cell("refused", "", error.code)
    with clone:
        return Cell.of(clone.run_code(cell(attack, attack.clone, first.text), timeout=attack.timeout_seconds))


def _rolled_back(attack: Attack, sandbox: Sandbox, first: Cell) -> Cell:
    try:
        sandbox.rollback("before")
    except RefusedError as error:
        return Cell("refused", "", error.code)
    time.sleep(attack.pause_seconds)
    return Cell.of(sandbox.run_code(cell(attack, attack.back, first.text), timeout=attack.timeout_seconds))


def _need_ok(attack: Attack, done: Cell) -> None:
    """A further cell only looks: if it fails, it looked at nothing."""
    if done.outcome != "ok":
        raise AssertionError(f"{attack.name}: a cell that looks ended {done.outcome}: {done.text[-800:]}")


def _survival(sandbox: Sandbox) -> Cell:
    """The same session answers afterwards, if perhaps by a new interpreter."""
    done = sandbox.run_code("6 * 7", timeout=5)
    if done.outcome.value not in {"ok", "error", "timeout_wall"}:
        return Cell(done.outcome.value, MARKER + " the session does not answer any more")
    return Cell(done.outcome.value, "")


def _collect(sandbox: Sandbox) -> Cell:
    """Fetch everything that a snippet left behind, as a client would: what is read must be a file of /work itself."""
    said = []
    for entry in sandbox.files.list("."):
        with contextlib.suppress(SandboxError):
            data = sandbox.files.read(entry.path, format="bytes")
            if b"root:" in data or entry.kind != "file":
                said.append(f"{MARKER} {entry.path!r} leads out of /work")
    return Cell("ok", "\n".join(said))


def stopped_by(attack: Attack, cells: Sequence[Cell], *, escaped: bool) -> str:
    """Name what stopped an attack: errors as the program saw them, else how it ended."""
    first = cells[0]
    words = set(_NAME.findall(first.text))
    names = {word for word in words if word in _ERRNO_NAMES or word.endswith(("Error", "Exception"))}
    names |= {errno.errorcode.get(int(number), number) for number in _BETWEEN_BRACKETS.findall(first.text)}
    if "errno" in attack.code and attack.layer != "own":
        ends = (_ERRNO_AT_END.search(line.strip()) for line in first.text.splitlines())
        names |= {errno.errorcode[int(m[1])] for m in ends if m and int(m[1]) in errno.errorcode}
    names |= {one.detail for one in cells if one.outcome == "refused"}
    how = "" if first.outcome == "ok" else f"{first.outcome} {first.detail}".strip()
    inside = "inside its own box" if escaped else ""
    parts = [how, " ".join(sorted(names - set(how.split()))), inside]
    return "; ".join(part for part in parts if part) or "no effect"


def _said(cells: Sequence[Cell]) -> str:
    lines = [line for one in cells for line in one.text.splitlines() if MARKER in line]
    return lines[0].partition(MARKER)[2].strip()[:160]


def _limits(wanted: dict[str, float]) -> Limits:
    units = {"memory_mib": ("memory_bytes", 1 << 20), "disk_mib": ("disk_bytes", 1 << 20)}
    units |= {"output_kib": ("output_bytes", 1 << 10), "pids": ("pids", 1), "cpu_seconds": ("cpu_seconds", 1)}
    named = {units[key][0]: value * units[key][1] for key, value in wanted.items()}
    return Limits(**{key: value if key == "cpu_seconds" else int(value) for key, value in named.items()})  # type: ignore[arg-type]


def _host() -> dict[str, object]:
    """Return what an attack could change of the host itself."""
    return {
        "files": _foreign_files(),
        "ipc": [_text(f"/proc/sysvipc/{kind}") for kind in ("shm", "sem", "msg")],
        "names": (os.uname().nodename, _text("/proc/sys/kernel/core_pattern")),
        "limits": _text("/proc/sys/user/max_user_namespaces"),
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _foreign_files() -> list[str]:
    """Return what lies in the host's scratch directories and belongs to a box's id, or as an ordinary user says so."""
    found = []
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        for entry in os.scandir(place):
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid >= FIRST_BOX_ID or entry.name.startswith(
                    "sandboxd-attack"
                ):
                    found.append(entry.path)
    return sorted(found)


@contextlib.contextmanager
def rig(edits: Sequence[Edit] = (), pool: int = 2, **popen: object) -> Iterator[Rig]:
    """Start a daemon, from a changed copy of the source if there are edits; end it and remove what it kept."""
    base = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    tree = make_mutant(base / "tree", [*edits, REQUIRE_NOTHING]) if edits else None
    os.environ["SANDBOXD_ATTACK_CANARY"] = CANARY
    # A pool of one size: what waits is counted among the traces.
    flags = ["--pool-size", str(pool), "--pool-max", str(pool), "--pool-fresh", "0", "--allow-unscreened"]
    daemon = start_daemon_process(base / "run", base / "state", *flags, tree=tree, **popen)
    try:
        if daemon.error:
            raise NoDaemonError(str(daemon.error.get("code")))
        yield Rig(daemon, base)
    finally:
        del os.environ["SANDBOXD_ATTACK_CANARY"]
        end_daemon_process(daemon)
        shutil.rmtree(base, ignore_errors=True)
