"""Checks of what stands around a jail on the host: swap, core dumps, and switches of the kernel that others set."""

from __future__ import annotations

from sandboxd.doctor.facts import Facts
from sandboxd.doctor.hierarchies import V2, Place, find_places
from sandboxd.doctor.model import Check, Evidence, Subject
from sandboxd.hosts import remedies

SWAP = Subject("swap", "host", "memory limits that hold, and secrets that stay off the disk")
CORES = Subject(
    "core-dumps", "host", "the host's crash handler, which runs as root on what a sandbox left in memory"
)
ASLR = Subject("address-layout", "host", "programs in a jail from their own memory errors")
TRACING = Subject("ptrace-scope", "host", "the daemon from other processes of its user")
TERMINAL = Subject("terminal-injection", "host", "the terminal of whoever runs sandboxd (TIOCSTI)")
IO_URING = Subject("io-uring", "host", "kernel attack surface outside jails; inside seccomp refuses it")
BPF = Subject("unprivileged-bpf", "host", "kernel attack surface outside jails; inside seccomp refuses it")


def check_swap(facts: Facts) -> Check:
    """Tell whether there is swap, and whether a memory cgroup here limits it too."""
    table = facts.host.read("/proc/swaps")
    if table is None:
        return SWAP.unknown(facts.host.fault("/proc/swaps"))
    devices = [line.split()[0] for line in table.splitlines()[1:] if line.split()]
    if not devices:
        return SWAP.ok("none", Evidence.READ)
    found = f"on {', '.join(devices[:3])}"
    limited = next(
        (where for place in find_places(facts.host) if (where := _limits_swap(facts, place))), None
    )
    if limited:
        why = (
            "a jail's memory limit counts swap; pages of other programs can still reach the disk: encrypt it"
        )
        return SWAP.ok(f"{found}; limited in {limited}", Evidence.TRIED, why)
    return SWAP.degraded(
        found,
        Evidence.READ,
        why="no memory cgroup limits it here: a jail that is over its memory slows the host down by swapping",
        remedy="sudo swapoff -a   # and out of /etc/fstab; or give the daemon a memory cgroup: see cgroup-memory",
    )


def _limits_swap(facts: Facts, place: Place) -> str:
    """Name the directory whose children get a limit of swap; empty where none do.

    A v2 group that has the limit itself can pass it on, also where it does so for nobody yet.
    """
    name = "memory.swap.max" if place.version == V2 else "memory.memsw.limit_in_bytes"
    for directory in (place.directory, place.top):
        child = facts.trial.cgroups.get(directory)
        passes_on = place.version == V2 and facts.host.exists(f"{directory}/{name}")
        if child is not None and child.errno == 0 and (name in child.files or passes_on):
            return directory
    return ""


def check_core_dumps(facts: Facts) -> Check:
    """Tell where core dumps go. A pipe's handler ignores RLIMIT_CORE, except for the value 1, which jails set.

    core(5) "Piping core dumps to a program"; linux/fs/coredump.c takes a limit of 1 for "do not dump". A process cannot
    raise its hard limit, so a daemon that was started with 0 gives its jails 0.
    """
    pattern = facts.host.read("/proc/sys/kernel/core_pattern")
    if pattern is None:
        return CORES.unknown(facts.host.fault("/proc/sys/kernel/core_pattern"))
    if not pattern.startswith(("|", "@")):
        return CORES.ok(f"to a file ({pattern or 'none'}), which the jail's limit stops", Evidence.READ)
    handler = pattern[:1] + pattern[1:].split(" ")[0]
    hard = facts.trial.report.get("core_hard")
    if pattern.startswith("|") and hard is not None and hard != 0:
        return CORES.ok(f"{handler}; jails set the limit that keeps it away", Evidence.READ)
    why = "programs that a jail executes reach the host's handler when they crash"
    if hard == 0:
        why += ": this process's hard RLIMIT_CORE is 0, so that jails cannot set the 1 which keeps it away"
    return CORES.degraded(
        handler,
        Evidence.READ,
        why=why,
        remedy="Start the daemon with LimitCORE=1 (systemd) or `ulimit -H -c unlimited`, or for the whole host:\n"
        "sudo sysctl -w kernel.core_pattern=core",
    )


def check_address_layout(facts: Facts) -> Check:
    """Read randomize_va_space: linux/Documentation/admin-guide/sysctl/kernel.rst."""
    value = facts.host.sysctl("kernel.randomize_va_space")
    if value is None:
        return ASLR.unknown(facts.host.fault("/proc/sys/kernel/randomize_va_space"))
    if value == "2":
        return ASLR.ok("random, heap included (2)", Evidence.READ)
    why = (
        "addresses in a zygote are the same after each start"
        if value == "0"
        else "the heap is where it always is"
    )
    remedy = remedies.sysctl("kernel.randomize_va_space", 2)
    return ASLR.degraded(f"randomize_va_space is {value}", Evidence.READ, why=why, remedy=remedy)


def check_tracing(facts: Facts) -> Check:
    """Read Yama's scope. It is no part of a jail, which is not dumpable anyway: it keeps the daemon's user apart."""
    value = facts.host.sysctl("kernel.yama.ptrace_scope")
    if value is None:
        return TRACING.ok("no Yama: run the daemon as a user of its own", Evidence.READ)
    if value == "0":
        return TRACING.ok(
            "0: processes of one user may trace each other; give the daemon its own", Evidence.READ
        )
    return TRACING.ok(value, Evidence.READ)


def check_terminal(facts: Facts) -> Check:
    """Read dev.tty.legacy_tiocsti (Linux 6.2): no jail has a terminal, so this is for the host's other programs."""
    value = facts.host.sysctl("dev.tty.legacy_tiocsti")
    known = {None: "allowed by this kernel", "0": "refused by the kernel"}
    return TERMINAL.ok(f"{known.get(value, 'allowed')}; no jail has a terminal", Evidence.READ)


def check_io_uring(facts: Facts) -> Check:
    """Read kernel.io_uring_disabled (Linux 6.6)."""
    value = facts.host.sysctl("kernel.io_uring_disabled")
    known = {None: "no switch in this kernel", "0": "allowed", "1": "for io_uring_group alone", "2": "off"}
    return IO_URING.ok(f"on the host: {known.get(value, value or '')}", Evidence.READ)


def check_bpf(facts: Facts) -> Check:
    """Read kernel.unprivileged_bpf_disabled."""
    value = facts.host.sysctl("kernel.unprivileged_bpf_disabled")
    known = {
        None: "no switch in this kernel",
        "0": "allowed for everybody",
        "1": "for root, until the next boot",
        "2": "for root",
    }
    return BPF.ok(f"on the host: {known.get(value, value or '')}", Evidence.READ)
