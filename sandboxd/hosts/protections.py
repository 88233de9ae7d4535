"""The protections of the process tier, by the names that policies `require`: one table for all who speak of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

ProtectionName: TypeAlias = Literal[
    "user_namespace",
    "mount_namespace",
    "pid_namespace",
    "network_namespace",
    "ipc_namespace",
    "uts_namespace",
    "cgroup_namespace",
    "read_only_root",
    "no_nested_userns",
    "capabilities",
    "no_new_privs",
    "seccomp",
    "landlock",
    "rlimits",
    "non_dumpable",
    "stopped_between_snippets",
    "frozen_between_snippets",
    "speculation_control",
    "own_address_layout",
    "own_hash_seed",
    "cgroup_memory",
    "cgroup_pids",
    "cgroup_cpu",
]
"""What a policy may require: every name of the table below (a test compares them)."""

_DELEGATE = "Run sandboxd as root or as a systemd unit with Delegate=yes."
_DOCTOR = "Run 'sandboxd doctor': it says what refuses this, and the exact command."


@dataclass(frozen=True, slots=True)
class ProtectionFact:
    """A protection: what it stops, and how a host gets it."""

    name: str
    stops: str
    remedy: str = _DOCTOR


PROTECTIONS = (
    ProtectionFact("user_namespace", "privileged calls and setuid programs"),
    ProtectionFact("mount_namespace", "reading and changing the host's files and mounts"),
    ProtectionFact("pid_namespace", "seeing, tracing or signalling other processes"),
    ProtectionFact("network_namespace", "reaching any network: exfiltration, scans, metadata services"),
    ProtectionFact("ipc_namespace", "shared memory and queues with other processes"),
    ProtectionFact("uts_namespace", "learning or changing the host's name"),
    ProtectionFact("cgroup_namespace", "learning where the host put this sandbox"),
    ProtectionFact("read_only_root", "changing the interpreter, and leaving by chroot tricks"),
    ProtectionFact(
        "no_nested_userns",
        "new user namespaces inside, the way to most kernel bugs",
        "/proc/sys must be writable where sandboxd runs (Docker: --security-opt systempaths=unconfined).",
    ),
    ProtectionFact("capabilities", "every privileged operation that is left"),
    ProtectionFact("no_new_privs", "gaining privileges by executing a program"),
    ProtectionFact("seccomp", "most of the kernel's attack surface"),
    ProtectionFact(
        "landlock",
        "file access that a mistake in the mounts would leave open",
        "Needs Linux 5.13 and 'landlock' in the kernel's lsm= list: see /sys/kernel/security/lsm.",
    ),
    ProtectionFact("rlimits", "exhausting memory, processes, files and CPU time, per process"),
    ProtectionFact("non_dumpable", "reading a process's memory through /proc, and core dumps of it"),
    ProtectionFact("stopped_between_snippets", "work that nobody meters, after the snippet's end"),
    ProtectionFact(
        "frozen_between_snippets",
        "the same, without a program's ever noticing that it was stopped",
        "Needs a writable cgroup v2 group: run sandboxd as root or with systemd's Delegate=yes.",
    ),
    ProtectionFact(
        "speculation_control",
        "reading memory by mis-speculation (Spectre v2 and v4) from inside",
        "The processor or its hypervisor must offer SSBD and STIBP, and the kernel leave them to prctl "
        "(spec_store_bypass_disable=prctl spectre_v2_user=prctl).",
    ),
    ProtectionFact(
        "own_address_layout",
        "using addresses that one sandbox leaked against another",
        "Set isolate.fresh: true in the policy, or ask for fresh when opening; kernel.randomize_va_space must be 2.",
    ),
    ProtectionFact(
        "own_hash_seed",
        "using a hash seed that one sandbox leaked against another",
        "Set isolate.fresh: true in the policy, or ask for fresh when opening.",
    ),
    ProtectionFact(
        "cgroup_memory",
        "exceeding the memory limit with several processes",
        "Run sandboxd as root or with systemd's Delegate=yes, or use a policy with enforce: per_process.",
    ),
    ProtectionFact("cgroup_pids", "fork bombs, counted over the whole sandbox", _DELEGATE),
    ProtectionFact("cgroup_cpu", "CPU time of children going unmeasured", _DELEGATE),
)

_REMEDIES = {fact.name: fact.remedy for fact in PROTECTIONS}


def protection_remedy(name: str) -> str:
    """Say how a host gets a protection."""
    return _REMEDIES.get(name, _DOCTOR)
