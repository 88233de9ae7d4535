"""Checks of what the daemon itself needs: descriptors, tasks, a durable state directory, environments, devices, a clock."""

from __future__ import annotations

from pathlib import PurePosixPath

from sandboxd.doctor.facts import Facts
from sandboxd.doctor.hierarchies import find_places
from sandboxd.doctor.model import Check, Evidence, Subject

FILES = Subject("open-files", "daemon", "as many sessions as max_sessions says")
TASKS = Subject("tasks", "daemon", "as many jails as max_sessions says")
STATE = Subject("state-dir", "daemon", "the log, which nothing runs without")
ENVIRONMENTS = Subject("environments", "daemon", "what policies let snippets import")
DEVICES = Subject("devices", "daemon", "/dev in a jail: null, zero, full, random, urandom", required=True)
RANDOM = Subject("random", "daemon", "session ids and random numbers that nobody guesses")
TIME = Subject("clock-sync", "daemon", "times in the log that mean something")

# Measured: a session costs the front 11, its client's connection included, and the launcher 9; each process has the limit
# for itself (tests/integration/test_doctor.py).
FILES_PER_SESSION, FILES_BASE = 16, 128
TASKS_PER_JAIL, TASKS_BASE = 2, 64  # pid 1 and a guest of one thread; front, launcher, zygotes, screeners
_INFINITE = -1
_VOLATILE = {"tmpfs": "memory", "ramfs": "memory", "overlay": "a container's own layer"}
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "virtiofs", "ceph", "glusterfs", "drvfs"})
_TIME_ERROR = 5  # adjtimex(2)


def check_files(facts: Facts) -> Check:
    """Compare the hard limit of descriptors with what max_sessions needs."""
    hard = facts.trial.report.get("nofile_hard")
    if hard is None:
        return FILES.unknown(facts.trial.fault or "the limit was not read")
    needed = facts.setup.jails * FILES_PER_SESSION + FILES_BASE
    soft = facts.trial.report.get("nofile_soft", hard)
    if soft == _INFINITE or soft >= needed:
        return FILES.ok(f"{'no limit' if soft == _INFINITE else soft}, {needed} needed", Evidence.READ)
    return FILES.degraded(
        f"{soft}, {needed} needed",
        Evidence.READ,
        why=f"at about {max(0, soft - FILES_BASE) // FILES_PER_SESSION} sessions opens begin to fail",
        remedy=f"LimitNOFILE={needed} in the systemd unit, or `ulimit -n {needed}` before the daemon starts.",
    )


def check_tasks(facts: Facts) -> Check:
    """Compare RLIMIT_NPROC, the cgroup's pids.max (systemd's TasksMax=) and the kernel's own limits with the need."""
    host, needed = facts.host, facts.setup.jails * TASKS_PER_JAIL + TASKS_BASE
    bounds = {"threads-max": host.number("kernel.threads-max"), "pid_max": host.number("kernel.pid_max")}
    if facts.uid:
        bounds["RLIMIT_NPROC"] = facts.trial.report.get("nproc_soft")
    for place in find_places(host):
        for directory in (PurePosixPath(place.directory), *PurePosixPath(place.directory).parents):
            limit = host.read(f"{directory}/pids.max")
            if limit is not None and limit.isdigit():
                bounds[f"pids.max of {directory}"] = int(limit)
    known = {name: value for name, value in bounds.items() if value is not None and value != _INFINITE}
    if not known:
        return TASKS.unknown("no limit of tasks could be read")
    name, least = min(known.items(), key=lambda item: item[1])
    if least >= needed:
        return TASKS.ok(f"{name} is {least}, {needed} needed", Evidence.READ)
    return TASKS.degraded(
        f"{name} is {least}, {needed} needed",
        Evidence.READ,
        why="clone(2) answers EAGAIN beyond it, and opens fail",
        remedy=f"TasksMax={needed} (cgroup) or LimitNPROC={needed} (user) in the systemd unit; or lower max_sessions.",
    )


def check_state(facts: Facts) -> Check:
    """Tell on which file system the log is written, and whether what it calls durable is so."""
    setup = facts.setup
    if setup.fault:
        return STATE.unknown(
            setup.fault, "Correct the settings: sandboxd serve says what is wrong with them."
        )
    kind, point = _file_system(facts, setup.state_dir)
    found = f"{setup.state_dir} on {kind or 'an unknown file system'}"
    if setup.state_writable is False:
        return STATE.missing(
            f"{found}, not writable",
            Evidence.READ,
            why="without a log nothing runs: the daemon does not start with this state directory",
            remedy=f"sudo install -d -m 0700 -o $USER {setup.state_dir}   # or --state-dir elsewhere",
        )
    if not kind:
        return STATE.unknown(facts.host.fault("/proc/self/mountinfo") or f"no mount holds {setup.state_dir}")
    if kind in _VOLATILE:
        why = f"{point} is {_VOLATILE[kind]}: log and quotas are gone with it, whatever `durability` says"
        return STATE.degraded(
            found, Evidence.READ, why=why, remedy="--state-dir on a disk; in a container, on a volume."
        )
    if kind in _REMOTE or kind.startswith("fuse."):
        why = "locks and fsync are as good as that file system's server"
        return STATE.degraded(found, Evidence.READ, why=why, remedy="--state-dir on a local disk.")
    return STATE.ok(found, Evidence.READ)


def _file_system(facts: Facts, path: str) -> tuple[str, str]:
    """Find the mount that a path is on: the longest mount point above it, the last one where several lie on it."""
    kind = point = ""
    for line in (facts.host.read("/proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) > 4 and PurePosixPath(path).is_relative_to(fields[4]) and len(fields[4]) >= len(point):  # noqa: PLR2004
            point, kind = fields[4], right.split(" ")[0]
    return kind, point


def check_environments(facts: Facts) -> Check:
    """Tell which environments there are and which cannot be used."""
    setup = facts.setup
    if setup.fault:
        return ENVIRONMENTS.unknown(
            setup.fault, "Correct the settings: sandboxd serve says what is wrong with them."
        )
    broken = {name: fault for name, fault in setup.environments.items() if fault}
    if not broken:
        return ENVIRONMENTS.ok(", ".join(sorted(setup.environments)) or "none", Evidence.TRIED)
    names = ", ".join(sorted(broken))
    return ENVIRONMENTS.degraded(
        f"cannot be used: {names}",
        Evidence.TRIED,
        why="; ".join(f"{name}: {fault}" for name, fault in sorted(broken.items())),
        remedy="\n".join(
            f"sandboxd env remove {name}; sandboxd env create {name}" for name in sorted(broken)
        ),
    )


def check_devices(facts: Facts) -> Check:
    """Tell whether the devices that every jail gets are on this host: a bare chroot may have none."""
    absent = [
        name
        for name in ("null", "zero", "full", "random", "urandom")
        if not facts.host.exists(f"/dev/{name}")
    ]
    if not absent:
        return DEVICES.ok("all five", Evidence.READ)
    names = ", ".join(absent)
    remedy = "Mount a /dev where sandboxd runs: sudo mount -t devtmpfs devtmpfs /dev"
    return DEVICES.missing(f"no {names}", Evidence.READ, why="a jail binds them from here", remedy=remedy)


def check_random(facts: Facts) -> Check:
    """Ask getrandom(2) whether the kernel's generator is seeded: early at boot, or in a bare machine, it may not be."""
    answer = facts.trial.report.get("random")
    if answer is None:
        return RANDOM.unknown(facts.trial.fault or "it was not tried")
    if answer == 0:
        return RANDOM.ok("seeded", Evidence.TRIED)
    why = "the kernel has gathered no entropy yet: the daemon waits for it when it starts"
    remedy = "In a virtual machine: give it a virtio-rng device, or boot with random.trust_cpu=1."
    return RANDOM.degraded("not seeded", Evidence.TRIED, why=why, remedy=remedy)


def check_time(facts: Facts) -> Check:
    """Ask adjtimex(2) whether somebody keeps the clock right. Deadlines use the monotonic clock and do not mind."""
    state = facts.trial.report.get("clock_state")
    if state is None or state < 0:
        return TIME.unknown(facts.trial.fault or "adjtimex(2) is refused here")
    if state != _TIME_ERROR:
        return TIME.ok("synchronised", Evidence.TRIED)
    return TIME.degraded(
        "not synchronised",
        Evidence.TRIED,
        why="nobody told the kernel that its time is right: times in the log may be off (deadlines are not)",
        remedy="sudo timedatectl set-ntp true   # or run chronyd; a hypervisor's clock may be right without saying so",
    )
