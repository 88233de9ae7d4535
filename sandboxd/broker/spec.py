"""What a container of ours is: the one place where its hardening is decided. `violations` reads it back from the engine.

Each line names what it stops. The engine's defaults are not relied on where a value can be said.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sandboxd.jail.container import LEASE_SECONDS

RUNTIMES = ("runc", "runsc")
LABEL = "dev.sandboxd"
OWNER, INSTANCE, SHAPE = f"{LABEL}.owner", f"{LABEL}.instance", f"{LABEL}.shape"
POLICY, LEASE = f"{LABEL}.policy", f"{LABEL}.lease-seconds"
GUEST_PLACE = "/opt/sandboxd"
MIB = 1 << 20
# Each container has a user id that no account has and no other container: what the kernel counts or guards by user
# (processes, keyrings, inotify, signals) is then its own. The daemon draws from 2^20 ids above this one.
FIRST_UID = 1 << 30
UIDS = 1 << 20
# Beside the guest: init, and what the runtime keeps there. gVisor's kernel runs in the container's groups, with its file
# server and its own memory. Its ptrace platform keeps a host thread for each pair of an address space and a thread of its
# own that ran it: nine busy processes took over 96, and the refused thread ended the whole container. Hence five for each.
PIDS_OF_OURS = {"runc": 4, "runsc": 64}
TASKS_A_PROCESS = {"runc": 1, "runsc": 5}
MEMORY_OF_OURS = {"runc": 16 * MIB, "runsc": 96 * MIB}
SMALL_TMPFS_BYTES = 64 * MIB
NOFILE = 1024

# Docker's own lists, said here so that a changed default does not change them, and what else of /proc and /sys tells of the
# host or of neighbours; of /sys all but the container's own cgroup, which says what its limits are. What is masked is empty,
# not absent (CVE-2025-31133 and -52881 are about such masks: the namespace and the missing capabilities lie below them).
MASKED = (  # noqa: SIM905
    "/proc/acpi /proc/asound /proc/config.gz /proc/interrupts /proc/kallsyms /proc/kcore /proc/keys /proc/key-users "
    "/proc/kmsg /proc/latency_stats /proc/modules /proc/sched_debug /proc/scsi /proc/softirqs /proc/sysvipc "
    "/proc/timer_list /proc/timer_stats /proc/version_signature /proc/vmallocinfo /proc/zoneinfo "
    "/sys/block /sys/bus /sys/class /sys/dev /sys/devices /sys/firmware /sys/hypervisor /sys/kernel /sys/module /sys/power "
    "/sys/fs/bpf /sys/fs/btrfs /sys/fs/erofs /sys/fs/ext4 /sys/fs/f2fs /sys/fs/fuse /sys/fs/pstore /sys/fs/selinux "
    "/sys/fs/tmpfs /sys/fs/xfs"
).split()  # fmt: skip
READ_ONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split()  # noqa: SIM905

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from sandboxd.jail.container import main; main(sys.argv[1])"
)
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PATH": "/usr/bin:/bin",
    "HOME": "/work",
    "TMPDIR": "/tmp",  # noqa: S108
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHON_DISABLE_REMOTE_DEBUG": "1",
    "MALLOC_ARENA_MAX": "2",
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What containers of one pool have in common, beside their image: sizes in bytes, `files` in inodes."""

    runtime: str
    memory_bytes: int
    disk_bytes: int
    files: int
    pids: int
    cpus: float

    def text(self) -> str:
        """Return it as one line, for a label."""
        return "/".join(str(getattr(self, name)) for name in self.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Maker:
    """What all containers of one daemon have in common.

    Attributes:
        owner: stands for the state directory: whoever has that lock owns every container with this label.
        instance: of this run of the daemon.
        guest_dir: where the guest's code lies for the engine to mount, read-only.
        profile: the seccomp profile.
    """

    owner: str
    instance: str
    guest_dir: str
    profile: dict[str, Any]

    def labels(self, shape: Shape) -> dict[str, str]:
        """Return what tells our containers from others, and one kind of ours from the next.

        All that can be true before a session has the container: labels are fixed when it is made. The session is in its
        name, from `Assign` on.
        """
        return {
            OWNER: self.owner,
            INSTANCE: self.instance,
            SHAPE: shape.text(),
            POLICY: self._policy(shape),
            LEASE: f"{LEASE_SECONDS:g}",  # for so long it outlives a daemon that says nothing
        }

    def _policy(self, shape: Shape) -> str:
        """Return the digest of what a policy comes to in a container: the limits and the whole hardening.

        Not of the policy's text: policies that differ in their screen alone share a pool. User id and the guest's place are
        left out, which differ where nothing is weaker or stronger for it.
        """
        host = {**self._host(shape, 0), "Mounts": []}
        return hashlib.sha256(json.dumps(host, sort_keys=True).encode()).hexdigest()

    def body(self, image_id: str, python: str, shape: Shape, uid: int) -> dict[str, Any]:
        """Return the body of "create container"."""
        return {
            "Image": image_id,  # by digest: a tag can be moved
            # The image's own entry point, command and health check would run beside or instead of init.
            "Entrypoint": [python, "-I", "-S", "-B", "-X", "utf8", "-c", _BOOT, GUEST_PLACE],
            "Cmd": [],
            "Healthcheck": {"Test": ["NONE"]},
            "User": f"{uid}:{uid}",
            "Env": [f"{name}={value}" for name, value in _ENVIRONMENT.items()],
            "WorkingDir": "/",  # CVE-2024-21626 came in by a working directory
            "Hostname": "sandbox",
            "Domainname": "",
            "NetworkDisabled": True,
            "Tty": False,  # no terminal: no TIOCSTI, no line discipline
            "OpenStdin": True,
            "StdinOnce": True,  # the end of our stream is the end of its stdin, and init ends with that
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "StopSignal": "SIGKILL",
            "Labels": self.labels(shape),
            "HostConfig": self._host(shape, uid),
        }

    def _host(self, shape: Shape, uid: int) -> dict[str, Any]:
        memory = shape.memory_bytes + MEMORY_OF_OURS[shape.runtime]
        return {
            "Runtime": shape.runtime,
            "NetworkMode": "none",
            "IpcMode": "none",  # private, and without the engine's /dev/shm, which has no limit of inodes
            "PidMode": "",
            "UTSMode": "",
            "CgroupnsMode": "private",
            "UsernsMode": "",
            "ReadonlyRootfs": True,
            "Tmpfs": _tmpfs(shape, uid),
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": self.guest_dir,
                    "Target": GUEST_PLACE,
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "rprivate"},
                }
            ],
            "Privileged": False,
            "CapDrop": ["ALL"],
            "SecurityOpt": [
                "no-new-privileges",
                "seccomp=" + json.dumps(self.profile, separators=(",", ":")),
            ],
            "MaskedPaths": list(MASKED),
            "ReadonlyPaths": list(READ_ONLY),
            "Memory": memory,
            "MemorySwap": memory,  # the same: no swap
            "NanoCpus": int(shape.cpus * 1e9),
            "PidsLimit": TASKS_A_PROCESS[shape.runtime] * shape.pids + PIDS_OF_OURS[shape.runtime],
            "Ulimits": _ulimits(),
            "OomKillDisable": False,
            "LogConfig": {
                "Type": "none",
                "Config": {},
            },  # output is the client's, and would fill the host's disk
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "AutoRemove": True,  # whoever is killed: the dead container goes by itself
            "Init": False,  # ours is pid 1
        }


def _tmpfs(shape: Shape, uid: int) -> dict[str, str]:
    small = min(shape.disk_bytes, SMALL_TMPFS_BYTES)
    common = f"rw,nosuid,nodev,noexec,uid={uid},gid={uid}"
    return {
        "/work": f"{common},mode=0755,size={shape.disk_bytes},nr_inodes={shape.files}",
        "/tmp": f"{common},mode=1777,size={small},nr_inodes={shape.files}",  # noqa: S108
        "/dev/shm": f"{common},mode=1777,size={small},nr_inodes=1024",  # noqa: S108
    }


def _ulimits() -> list[dict[str, Any]]:
    # core is 1, not 0: a core_pattern that is a pipe ignores every limit but 1, and its handler is the host's root.
    values = {
        "core": 1, "nofile": NOFILE, "memlock": 0, "msgqueue": 0, "nice": 0, "rtprio": 0, "sigpending": 64,
        "stack": 8 * MIB,
    }  # fmt: skip
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in values.items()]


def violations(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Compare what the engine says of a container with the body that made it; return what is weaker.

    An engine, a plugin or a proxy before it may change a request; a container that is not what was asked for is not used.
    """
    config, host = found.get("Config") or {}, found.get("HostConfig") or {}
    faults = [
        name for name in ("User", "Entrypoint", "WorkingDir", "Tty", "Labels") if config.get(name) != wanted[name]
    ]  # fmt: skip
    for name, value in wanted["HostConfig"].items():
        got = host.get(name)
        if name == "Mounts":
            faults += [] if _same_mounts(found, value) else [name]
        elif name == "CapDrop":
            faults += [] if got == ["ALL"] and not host.get("CapAdd") else [name]
        elif name == "Ulimits":
            faults += [] if _by_name(got) == _by_name(value) else [name]
        elif (got or None) != (value or None):
            faults.append(name)
    if host.get("Binds") or host.get("Devices") or host.get("VolumesFrom") or host.get("DeviceRequests"):
        faults.append("Binds or Devices")
    if found.get("Image") != wanted["Image"]:
        faults.append("Image")
    return faults


def _by_name(limits: Any) -> dict[str, Any]:
    return {str(one.get("Name")): (one.get("Soft"), one.get("Hard")) for one in limits or ()}


def _same_mounts(found: dict[str, Any], wanted: list[dict[str, Any]]) -> bool:
    got = [
        (m.get("Type"), m.get("Source"), m.get("Destination"), m.get("RW")) for m in found.get("Mounts") or ()
    ]
    binds = [one for one in got if one[0] != "tmpfs"]
    return binds == [("bind", one["Source"], one["Target"], False) for one in wanted]
