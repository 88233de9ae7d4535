"""Every control of the jail, and the edit of the source that takes it alone away.

For each one of three things holds, and `test_controls.py` sees to it: an attack named here then succeeds; or the same
attack is also stopped by another control (`cover`), and succeeds when both are off but not when the cover alone is; or a probe
from outside sees it (`probe`, a function of probes.py); or no box opens at all (`closed`): the kernel refuses what comes after.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from mutants import Edit

ZYGOTE, SUPERVISOR, MOUNTS, LOCKDOWN = (
    "jail/zygote.py",
    "jail/supervisor.py",
    "jail/mounts.py",
    "jail/lockdown.py",
)
CRADLE = "jail/cradle.py"
BOX, REST, HOST = "launcher/box.py", "launcher/rest.py", "launcher/host.py"

BAIT = f"/var/tmp/sandboxd-bait-{os.getpid()}"  # made and removed by the harness


@dataclass(frozen=True, slots=True)
class Control:
    """A control and what shows its worth.

    `attacks` succeed without it, each for the reason that `says` names (any when empty). `only` is "root" or "user" where the
    other cannot have it, and `why` tells why.
    """

    name: str
    edits: tuple[Edit, ...]
    attacks: tuple[str, ...] = ()
    says: str = ""
    cover: tuple[str, ...] = ()
    probe: str = ""
    closed: bool = False
    only: str = ""
    why: str = ""
    needs_cgroup: bool = False


def _off(path: str, old: str, new: str = "pass") -> tuple[Edit, ...]:
    return (Edit(path, old, new),)


_GUEST_LIMITS = "launcher/guest_limits.py"
_POLICY_LIMITS = 'lockdown.set_policy_rlimits(pid, limits, int(said["mapped"]))'
_NO_MAPS = Edit(BOX, "idmaps.write_maps(self._pid, self._slot)", "pass")
_BIND_RO = "kernel.set_mount_flags(place, kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV)"
_SCRATCH_FLAGS = """    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("scratch","""
_SIZE_FLAGS = "kernel.MS_REMOUNT | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC"
_PROC_OPTIONS = '"hidepid=invisible,subset=pid"'
_PROC = f'kernel.mount("proc", place, "proc", flags, {_PROC_OPTIONS})'

CONTROLS = (
    Control(
        "seccomp, the guest's filter",
        _off(LOCKDOWN, 'kernel.load_seccomp(order["guest_filter"])'),
        ("covert/shared_locks", "memory/shared", "abi/prctls", "abi/ioctls", "abi/fcntls"),
    ),
    Control(
        "seccomp, pid 1's filter",
        _off(SUPERVISOR, 'kernel.load_seccomp(self.config["supervisor_filter"])'),
        probe="pid_1_is_filtered",
    ),
    Control(
        "seccomp, both filters",
        (
            *_off(LOCKDOWN, 'kernel.load_seccomp(order["guest_filter"])'),
            *_off(SUPERVISOR, 'kernel.load_seccomp(self.config["supervisor_filter"])'),
        ),
        (
            "userns/keyrings",
            "abi/page_cache",
            "abi/handles",
            "network/sockets",
            "JAIL-056",
            "JAIL-057",
            "JAIL-087",
            "JAIL-095",
        ),
    ),
    Control(
        "Landlock",
        _off(LOCKDOWN, "landlock.restrict(\n        writable, devices\n    )", "0"),
        ("abi/landlock_only", "abi/after_exec"),
    ),
    Control(
        "the old root is let go",
        _off(MOUNTS, 'kernel.umount(".", kernel.MNT_DETACH)'),
        ("mounts/old_root",),
    ),
    Control(
        "pivot_root",
        (
            # Nobody enters the new root: what is built below the host's /tmp stays a mere directory.
            Edit(SUPERVISOR, "mounts.enter_root()", "pass"),
            Edit(MOUNTS, 'kernel.mount("", "/work", "", flags', 'kernel.mount("", "/tmp/work", "", flags'),
            Edit(LOCKDOWN, "tuple(target for _, target", 'tuple("/tmp" + target for _, target'),
            Edit("launcher/zygotes.py", '"workdir": "/work"', '"workdir": "/tmp/work"'),
        ),
        ("mounts/host_files", "JAIL-002"),
    ),
    Control(
        "user namespace",
        (
            Edit(ZYGOTE, "kernel.CLONE_NEWUSER\n    | ", ""),
            _NO_MAPS,
            # In the host's namespace this setting would be the host's.
            Edit(SUPERVISOR, 'file.write("0")', "pass"),
            # Over another user's process in the host's namespace it takes a capability that not every root has.
            Edit(_GUEST_LIMITS, _POLICY_LIMITS, "pass"),
        ),
        ("identity/status",),
        says="the host's user namespace",
        only="root",
        why="an ordinary user may make no other namespace without it: clone is refused, no box opens",
    ),
    Control(
        "user namespace, as an ordinary user",
        _off(ZYGOTE, "kernel.CLONE_NEWUSER\n    | ", ""),
        closed=True,
        only="user",
        why="root can make the others without it: see the row above",
    ),
    Control("mount namespace", _off(ZYGOTE, "    | kernel.CLONE_NEWNS\n", ""), closed=True),
    Control("pid namespace", _off(ZYGOTE, "    | kernel.CLONE_NEWPID\n", ""), closed=True),
    Control(
        "pid namespace, the host's /proc bound in",
        (
            Edit(ZYGOTE, "    | kernel.CLONE_NEWPID\n", ""),
            Edit(MOUNTS, _PROC, 'kernel.mount("/proc", place, "", kernel.MS_BIND | kernel.MS_REC)'),
        ),
        ("identity/processes",),
        only="root",
        why="without it pid 1's kill(-1) would reach every process of the user who runs the test",
    ),
    Control("network namespace", _off(ZYGOTE, "    | kernel.CLONE_NEWNET\n", ""), ("network/interfaces",)),
    Control(
        "IPC namespace",
        _off(ZYGOTE, "    | kernel.CLONE_NEWIPC\n", ""),
        ("state/sysv_memory",),
        cover=("seccomp, both filters",),
    ),
    Control(
        "UTS namespace",
        (
            Edit(ZYGOTE, "    | kernel.CLONE_NEWUTS\n", ""),
            Edit(SUPERVISOR, 'kernel.sethostname("sandbox")', "pass"),
        ),
        ("identity/names",),
        says="node name",
    ),
    Control(
        "cgroup namespace",
        _off(SUPERVISOR, "kernel.unshare(kernel.CLONE_NEWCGROUP)"),
        ("identity/names",),
        says="/sandboxd-",
        needs_cgroup=True,
    ),
    Control(
        "cgroup",
        (
            Edit(
                HOST,
                "homes, self.cgroup_reasons = find_homes(own=own)",
                "homes, self.cgroup_reasons = find_homes(own=own)\n        homes = {}",
            ),
        ),
        ("resource/memory_of_many",),
        needs_cgroup=True,
    ),
    Control(
        "rlimits, the same in every box",
        _off(LOCKDOWN, "    set_fixed_rlimits()\n", ""),
        ("limits/raise", "limits/many_files"),
    ),
    Control(
        "rlimits, the policy's",
        _off(_GUEST_LIMITS, _POLICY_LIMITS),
        ("limits/raise",),
        says="'AS'",
    ),
    Control(
        "capabilities",
        (
            Edit(LOCKDOWN, "kernel.prctl(kernel.PR_CAPBSET_DROP, cap)", "pass"),
            Edit(LOCKDOWN, "kernel.capset(0, 0, 0)", "pass"),
        ),
        ("identity/status",),
        says="CapBnd",
    ),
    Control(
        "the guest's own id",
        (Edit(LOCKDOWN, "switch_to(GUEST_UID)", "os.setgroups([])"),),
        ("identity/status",),
        says="Uid",
        only="root",
        why="an ordinary user has one id to give",
    ),
    Control(
        "pid 1's own id",
        _off(SUPERVISOR, "os.setresuid(0, 0, 0)"),
        closed=True,
        only="root",
        why="an ordinary user has one id to give",
    ),
    Control(
        "no_new_privs",
        (
            Edit(LOCKDOWN, "kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)", "pass"),
            Edit(SUPERVISOR, "kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)", "pass"),
        ),
        closed=True,
        only="root",
        why="`tests/run_as_user.sh` starts the user's tests with no_new_privs already",
    ),
    Control(
        "not dumpable",
        _off(LOCKDOWN, "kernel.prctl(kernel.PR_SET_DUMPABLE, 0)"),
        ("memory/proc_self_mem",),
        only="user",
        why="as root the switch of ids has the same effect: see the row below",
    ),
    Control(
        "not dumpable, beside the switch of ids",
        _off(LOCKDOWN, "kernel.prctl(kernel.PR_SET_DUMPABLE, 0)"),
        ("memory/proc_self_mem",),
        cover=("the guest's own id",),
        only="root",
        why="an ordinary user has one id to give",
    ),
    Control(
        "pid 1 not dumpable",
        _off(SUPERVISOR, "kernel.prctl(kernel.PR_SET_DUMPABLE, 0)"),
        probe="pid_1_is_not_dumpable",
    ),
    Control(
        "pid 1's capabilities after check-out",
        _off(SUPERVISOR, "kernel.capset(KEPT_CAPS, KEPT_CAPS, 0)"),
        probe="pid_1_may_not_mount",
    ),
    Control("nice value", _off(LOCKDOWN, "os.nice(GUEST_NICE)"), ("limits/priority",), says="nice value"),
    Control("out-of-memory score", _off(LOCKDOWN, "prefer_for_oom(1000)"), ("limits/oom_score",)),
    Control(
        "hidepid",
        _off(MOUNTS, _PROC_OPTIONS, '"subset=pid"'),
        ("pid1/proc", "identity/processes", "tree/sibling_proc"),
    ),
    Control(
        "subset=pid", _off(MOUNTS, _PROC_OPTIONS, '"hidepid=invisible"'), ("mounts/proc_subset", "JAIL-105")
    ),
    Control(
        "read-only binds",
        _off(MOUNTS, _BIND_RO, "kernel.set_mount_flags(place, kernel.MS_NOSUID | kernel.MS_NODEV)"),
        ("mounts/touch_readonly", "mounts/flags"),
        cover=("bait",),
    ),
    Control(
        "read-only root",
        _off(MOUNTS, 'kernel.set_mount_flags("/", kernel.MS_RDONLY, recursive=False)'),
        ("mounts/flags",),
        says="/ lacks ['ro']",
    ),
    Control(
        "nosuid and nodev of binds",
        _off(MOUNTS, _BIND_RO, "kernel.set_mount_flags(place, kernel.MS_RDONLY)"),
        ("mounts/flags",),
        says="nosuid",
    ),
    Control(
        "noexec of scratch",
        (
            Edit(MOUNTS, _SCRATCH_FLAGS, _SCRATCH_FLAGS.replace(" | kernel.MS_NOEXEC", "")),
            Edit(MOUNTS, _SIZE_FLAGS, _SIZE_FLAGS.replace(" | kernel.MS_NOEXEC", "")),
        ),
        ("abi/memfd_exec",),
        cover=("Landlock",),
    ),
    Control(
        "close_from",
        # What would keep the launcher waiting is closed, so that the box opens: pid 1's own are what is left.
        _off(LOCKDOWN, "kernel.close_from(len(parked))", "[os.close(fd) for fd in (*parked, *fds)]"),
        ("channel/descriptors",),
    ),
    Control(
        "size and inodes of scratch",
        _off(
            MOUNTS, '"size=%d,nr_inodes=%d" % (size_bytes, inodes + INODES_OF_OURS)', '"size=0,nr_inodes=0"'
        ),
        ("files/inodes", "files/one_quota"),
    ),
    Control(
        "no nested user namespaces",
        _off(SUPERVISOR, 'file.write("0")'),
        ("JAIL-042",),
        cover=("seccomp, both filters",),
    ),
    Control(
        "environment of its own",
        _off("launcher/zygotes.py", "env=variables", "env={**os.environ, **variables}"),
        ("identity/names",),
        says="SANDBOXD_ATTACK_CANARY",
    ),
    Control("session of its own", _off(ZYGOTE, "os.setsid()"), ("identity/names",), says="session"),
    Control(
        "the stop between snippets",
        _off(BOX, "self._rest.rest(standing.pidfd, standing.meter.guest_pid)"),
        ("wake/orphans", "wake/threads", "channel/forge_and_stay"),
    ),
    Control(
        "the stop is looked after",
        _off(REST, "self._look_later({}, self._loop.time() + PATIENCE_SECONDS)"),
        ("wake/orphans",),
        cover=("freezer",),
    ),
    Control(
        "no timers with a signal of choice",
        (
            Edit(
                "seccomp/names.py",
                "*SYSV_IPC, *SECURITY, *SHARED_FILES, *TIMERS,",
                "*SYSV_IPC, *SECURITY, *SHARED_FILES,",
            ),
            Edit(
                "seccomp/names.py",
                "*WAITING, *SOCKETPAIRS)",
                '*WAITING, *SOCKETPAIRS, "timer_create", "timer_settime")',
            ),
        ),
        ("wake/timers",),
        cover=("freezer", "the stop is looked after"),
    ),
    Control(
        "paths of the file API are resolved beneath /work",
        _off(
            "jail/below.py",
            """RESOLVE = (
    kernel.RESOLVE_BENEATH
    | kernel.RESOLVE_NO_SYMLINKS
    | kernel.RESOLVE_NO_MAGICLINKS
    | kernel.RESOLVE_NO_XDEV
)""",
            "RESOLVE = 0",
        ),
        ("files/planted_links",),
    ),
    Control(
        "a clone's own Landlock layer",
        _off(CRADLE, "landlock.confine(order.home, mounts.SHARED, devices, self._roots)"),
        ("tree/sibling_files",),
    ),
    Control(
        "random state of a clone",
        (
            Edit(
                "guest/forking.py",
                "if order.kind == LIVE:\n                hygiene.reseed_clone(self._names)\n            elif drawn",
                "if drawn",
            ),
            # Python's own hook draws anew too, as long as nothing puts back what was there before.
            Edit(
                "guest/forking.py",
                "drawn = None if order.kind == LIVE else _random_state()",
                "drawn = _random_state()",
            ),
        ),
        ("tree/same_random",),
    ),
    Control(
        "a rollback ends all that was started",
        # The interpreter alone is ended.
        _off(
            SUPERVISOR,
            """        elif op == "halt":
            self.family.sweep(member)""",
            """        elif op == "halt":
            self.family._kill([self.family.guests[member].pid], set())
            self.family.reap()""",
        ),
        ("tree/left_after_rollback",),
        says="a process runs on",
    ),
    Control(
        "who may call a tool",
        _off(
            "tools/admission.py", "if tool is None or not tool.may_call(direct=direct):", "if tool is None:"
        ),
        ("tools/direct_only",),
    ),
    Control(
        "the schema of a tool's arguments",
        _off("tools/admission.py", 'await _check(tool.parameters, value, Code.TOOL_ARGUMENTS, "arguments")'),
        ("tools/forged_calls",),
    ),
    Control(
        "the budget of tool calls",
        _off("tools/admission.py", "    budget.take_call()\n", ""),
        ("tools/flood",),
    ),
    Control("the guest's own objects are frozen", _off("guest/loop.py", "gc.freeze()"), ("JAIL-013",)),
)

# Not a control: a world-writable file of the host is bound in, so that a missing "read-only" has something to show.
BAIT_EDIT = Edit("launcher/layout.py", '"/etc/ld.so.cache")', f'"/etc/ld.so.cache", "{BAIT}")')
# Where a v2 group freezes the box, SIGSTOP and all that may undo it has no part: to see that one fail, the other must go.
FREEZER = Edit(BOX, "if self.cgroup.guest is not None:", "if False:")
EXTRAS = {"bait": (BAIT_EDIT,), "freezer": (FREEZER,)}
BY_NAME = {control.name: control for control in CONTROLS}


def edits_of(names: tuple[str, ...]) -> list[Edit]:
    """Return the edits that take these controls away, each once."""
    edits: dict[Edit, None] = {}
    for name in names:
        edits |= dict.fromkeys(EXTRAS[name] if name in EXTRAS else BY_NAME[name].edits)
    return list(edits)
