"""What there is of a daemon on this host, seen from outside, so that before and after can be compared.

Names that change from run to run (pids, instance names, box numbers) are left out, so two snapshots of a quiet daemon are
equal. Processes are found in more than one way: by descent, which holds as long as this process reaps orphans
(`adopt_orphans`), and by membership in the cgroups that the daemon was put into. Neither asks for a name.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
_NAMESPACES = ("net", "pid", "mnt", "user", "ipc", "uts", "cgroup")
_CHANGING = (
    (re.compile(r"sandboxd-[0-9a-f]{8}\b"), "sandboxd-*"),
    (re.compile(r"\bbox-\d+"), "box-*"),
    (re.compile(r"log-\d{12,}\.jsonl"), "log-*.jsonl"),
    (re.compile(r"/fd/\d+/"), "/fd/*/"),
    (re.compile(r"-\d{6,}\.log"), "-*.log"),
)


@contextlib.contextmanager
def adopt_orphans() -> Iterator[None]:
    """Keep every process below this one its descendant, whatever dies in between."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    assert prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


# ---- processes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Process:
    """A process. `role` is front, screener, launcher, broker, undertaker, zygote, pid1, inmate, waiting or other.

    `waiting` is the guest of a box in the pool: no policy's limits are on it yet.
    """

    pid: int
    parent: int
    state: str
    role: str


def look(pid: int) -> Process | None:
    """Look at one process; None when it is gone."""
    try:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        role = _role(pid, status, command)
        if role == "inmate":
            limits = Path(f"/proc/{pid}/limits").read_text()
            if re.search(r"^Max address space +unlimited", limits, re.MULTILINE):
                role = "waiting"
    except (OSError, ValueError):
        return None
    return Process(pid, int(status["PPid"]), status["State"][0], role)


def _role(pid: int, status: Mapping[str, str], command: bytes) -> str:
    ids = status.get("NSpid", "").split()
    if len(ids) > 1 and ids != [status["Pid"]] * len(ids):
        return "pid1" if ids[-1] == "1" else "inmate"
    if b"sandboxd.launcher" in command:
        return "launcher" if _holds_socket(pid, command) else "undertaker"
    if b"sandboxd.jail.zygote" in command:
        return "zygote"
    if b"sandboxd.broker" in command:
        return "broker"
    if b"screen/boot.py" in command:
        return "screener"
    return "front" if b"sandboxd\0serve" in command else "other"


def _holds_socket(pid: int, command: bytes) -> bool:
    """Tell the launcher from its undertaker, a fork with the same command line that let go of the socket to the front."""
    arguments = command.decode(errors="replace").split("\0")
    if "--fd" not in arguments:
        return True
    try:
        return os.readlink(f"/proc/{pid}/fd/{arguments[arguments.index('--fd') + 1]}").startswith("socket:")
    except FileNotFoundError:
        return False
    except OSError:
        return True


def family(root: int | None = None) -> list[Process]:
    """Return every living descendant of a process (this one by default), zombies left out."""
    return [process for process in _descendants(root) if process.state != "Z"]


def _descendants(root: int | None) -> list[Process]:
    below: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{entry}/stat").read_text(errors="replace")
                parent = int(stat.rpartition(")")[2].split()[1])  # the name before it may hold anything
                below.setdefault(parent, []).append(int(entry))
    found: list[Process] = []
    todo = [root or os.getpid()]
    while todo:
        for pid in below.get(todo.pop(), []):
            todo.append(pid)
            process = look(pid)
            if process is not None:
                found.append(process)
    return found


def descent(root: int | None = None) -> list[int]:
    """Return the pids of the living descendants, by walking down: fast, and blind to one that is born meanwhile."""
    found: list[int] = []
    todo = [root or os.getpid()]
    while todo:
        pid = todo.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError):
                    below = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
                    todo += map(int, below)
                    found += map(int, below)
    return found


def find(role: str, root: int | None = None) -> list[int]:
    """Return the pids of a role, in order."""
    return sorted(process.pid for process in family(root) if process.role == role)


def reap(spare: Iterable[int] = ()) -> None:
    """Bury the orphans that this process adopted, but not `spare`: their `Popen` waits for them itself."""
    for process in _descendants(None):
        if process.state == "Z" and process.parent == os.getpid() and process.pid not in set(spare):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


# ---- snapshots -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How many there are of each thing, by kind: processes, namespaces, descriptors, cgroups, mounts, sockets, files."""

    rows: Mapping[str, Counter[str]]

    @classmethod
    def take(
        cls,
        *,
        root: int | None = None,
        spare: Iterable[int] = (),
        directories: Iterable[Path] = (),
        cages: Iterable[Path] = (),
    ) -> Snapshot:
        """Take stock.

        Args:
            root: whose descendants are ours; this process's by default, itself not counted.
            spare: processes of the test's own that are no part of a daemon.
            directories: where the daemon may leave files and sockets.
            cages: cgroups that the daemon was started in: whatever is in or below them is ours too.
        """
        places, cages = list(directories), list(cages)
        members = [process for process in _members(root, cages) if process.pid not in set(spare)]
        held = _held(members)
        return cls(
            {
                "processes": Counter(_shown(process) for process in members),
                "namespaces": _namespaces(members),
                "descriptors": Counter(f"{role} {_kind(target)}" for role, target in held),
                "cgroups": Counter(stable(str(path)) for cage in cages for path in _below(cage)),
                "mounts": Counter(mounts()),
                "sockets": Counter(_sockets(places, {target for _, target in held})),
                # A set: of the log there may be more segments than before.
                "files": Counter({_name(path, place) for place in places for path in _below(place)}),
            }
        )


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Tell in words what is more or less than before; empty when all is as it was."""
    return [
        f"{row}: {after.rows[row][name] - before.rows[row][name]:+d} {name}"
        for row in before.rows
        for name in sorted(before.rows[row].keys() | after.rows[row].keys())
        if after.rows[row][name] != before.rows[row][name]
    ]


def surplus(before: Snapshot, after: Snapshot) -> list[str]:
    """Tell what is more than before; less is no matter."""
    return [line for line in differences(before, after) if ": +" in line]


def settle(look_again: Callable[[], list[str]], seconds: float = 10.0) -> list[str]:
    """Look until nothing is left to complain of; return what was left when the time was over."""
    until = time.monotonic() + seconds
    while left := look_again():
        if time.monotonic() > until:
            return left
        time.sleep(0.02)
    return []


def stable(name: str) -> str:
    """Replace what changes from run to run."""
    for pattern, constant in _CHANGING:
        name = pattern.sub(constant, name)
    return name


def mounts() -> list[str]:
    """List this mount namespace's mounts: type, source and place. Those of the tests' own container engine come and go."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        place = left.split()[4]
        if right.split()[0] != "overlay" and "/sandboxd-engine-" not in place:
            found.append(f"{' '.join(right.split()[:2])} at {place}")
    return found


def _members(root: int | None, cages: list[Path]) -> list[Process]:
    own = root or os.getpid()
    members = {process.pid: process for process in _descendants(root)}
    for cage in cages:
        for path in _below(cage):
            with contextlib.suppress(OSError):
                pids = map(int, (path / "cgroup.procs").read_text().split())
                members |= {pid: process for pid in pids if (process := look(pid)) is not None}
    # A zombie of ours is this process's to reap; one of anybody else's is a leak.
    return [p for p in members.values() if p.state != "Z" or p.parent != own]


def _shown(process: Process) -> str:
    return f"zombie {process.role}" if process.state == "Z" else process.role


def _namespaces(members: Iterable[Process]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for kind in _NAMESPACES:
        own = os.readlink(f"/proc/self/ns/{kind}")
        seen = set()
        for process in members:
            try:
                seen.add(os.readlink(f"/proc/{process.pid}/ns/{kind}"))
            except PermissionError:
                counted["hidden"] += 1  # of a process that is not dumpable, for an ordinary user
            except OSError:
                continue
        counted[kind] = len(seen - {own})
    return counted


def _held(members: Iterable[Process]) -> list[tuple[str, str]]:
    """List what our own programs have open, by role; what a guest has open ends with it."""
    held = []
    for process in members:
        if process.role in {"pid1", "inmate", "waiting", "other"}:
            continue
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{process.pid}/fd"):
                with contextlib.suppress(OSError):
                    held.append((process.role, os.readlink(f"/proc/{process.pid}/fd/{fd}")))
    return held


def _kind(target: str) -> str:
    return target.split(":[", maxsplit=1)[0] if ":[" in target else stable(target)


def _below(place: Path) -> Iterator[Path]:
    """Yield a directory and all below it: of a cgroup only the groups, not the kernel's files."""
    groups = (place / "cgroup.procs").exists()
    for path, below, files in os.walk(place):
        yield Path(path)
        yield from (Path(path, name) for name in below if Path(path, name).is_symlink())
        if not groups:
            yield from (Path(path, name) for name in files)


def _name(path: Path, place: Path) -> str:
    return stable(f"{place.name}/{path.relative_to(place)}") + ("=" if path.is_socket() else "")


def _sockets(places: list[Path], held: set[str]) -> Iterator[str]:
    """Yield the names of unix sockets that one of ours holds, or that lie in its directories."""
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        path = fields[7] if len(fields) > 7 else ""
        if path and (
            f"socket:[{fields[6]}]" in held or any(path.startswith(f"{place}/") for place in places)
        ):
            yield stable(path)
