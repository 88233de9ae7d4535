"""What is active in a container: read back from the engine and the kernel where it can be, else as the guest reports it.

Names are the process tier's, so that a policy's `require` means the same in every tier.
"""

from __future__ import annotations

from sandboxd.launcher.protections import Row
from sandboxd.launcher.sharing import sharing_rows

_ENGINE = "read back from the engine"
_GVISOR = "gVisor's kernel: the host's is not reached"


def rows(facts: dict[str, str], report: str, counters: set[str]) -> list[Row]:
    """Return (name, active, detail) for every protection of a container.

    Args:
        facts: of the broker.
        report: the guest's own of its lock-down, "key=value,…".
        counters: the cgroup files that are read.
    """
    said = dict(item.split("=", 1) for item in report.split(",") if "=" in item)
    own_ids = facts.get("user_namespace") == "own"
    own_kernel = facts.get("runtime") == "runsc"
    namespaces = [
        (f"{name}_namespace", True, _ENGINE) for name in ("mount", "pid", "network", "ipc", "uts", "cgroup")
    ]
    abi = said.get("landlock", "0")
    speculation = said.get("speculation", "")
    return [
        ("user_namespace", own_ids, "" if own_ids else "the engine does not remap ids: userns-remap in its daemon.json"),
        *namespaces,
        ("own_kernel", own_kernel, _GVISOR if own_kernel else "runc shares the host's kernel"),
        ("read_only_root", True, _ENGINE),
        ("no_nested_userns", True, "seccomp"),
        ("capabilities", own_kernel or _none_held(facts), "none held"),
        ("no_new_privs", own_kernel or facts.get("NoNewPrivs") == "1", ""),
        ("seccomp", own_kernel or facts.get("Seccomp") == "2", "the engine's profile below the guest's filter"),
        ("landlock", abi != "0", f"ABI {abi}" if abi != "0" else "this kernel has no Landlock, or it is off"),
        ("rlimits", True, ""),
        ("non_dumpable", True, ""),
        ("stopped_between_snippets", True, "by SIGSTOP, which a program can notice afterwards"),
        ("frozen_between_snippets", False, "init stops the guest from inside; the engine's pause takes 15 ms"),
        ("speculation_control", bool(speculation), speculation or "decided by the kernel at boot"),
        ("cgroup_memory", bool(counters & {"memory.oom_control", "memory.events"}), _ENGINE),
        ("cgroup_pids", "pids.events" in counters, _ENGINE),
        ("cgroup_cpu", bool(counters & {"cpuacct.usage", "cpu.stat"}), _ENGINE),
        *sharing_rows(fresh=True),
    ]  # fmt: skip


def _none_held(facts: dict[str, str]) -> bool:
    return all(facts.get(name) == "0" * 16 for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"))
