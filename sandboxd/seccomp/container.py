"""The engine's seccomp profile for our containers, from the same tables as the jail's filter.

It lies under the guest's own filter (init loads that in the guest), and holds for init and for whatever gets past that one.
Stricter than the engine's default, which allows by capability and still lets every family of sockets but a few through: no
sockets at all (AF_ALG, VSOCK, NETLINK, PACKET: CVE-2026-31431), no splice family (CVE-2022-0847), no io_uring, bpf,
userfaultfd, no namespaces, no keyrings, no ptrace.
"""

from __future__ import annotations

import errno
import platform
from typing import Any

from sandboxd.seccomp import names
from sandboxd.seccomp.build import AF_UNIX, CLONE_NAMESPACES, FCNTL_COMMANDS, PRCTL_OPTIONS, TERMINAL_IOCTLS

# What init does before it forks the guest, and the guest before its own filter: restrict itself, and give up privileges.
_SELF_RESTRICTION = "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self capset".split()  # noqa: SIM905
# A list of files goes out through a memfd; the guest's own filter has no memfd_create.
_OF_INIT = ("memfd_create", "prlimit64", "setrlimit", "setpriority", *_SELF_RESTRICTION)
# PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_SET_SPECULATION_CTRL.
_PRCTL_OF_INIT = (4, 24, 38, 47, 53)
# Native alone: 32-bit and x32 calls have numbers, and holes, of their own.
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
# Probed for by libraries that fall back on ENOSYS alone. Whatever is newer than the profile gets ENOSYS from the runtime.
_ABSENT = ("clone3", "process_madvise", "set_mempolicy_home_node")


def engine_profile() -> dict[str, Any]:
    """Return the profile as the engine reads it. All that is not named is refused with EPERM."""
    allowed = sorted({*names.ALLOWED, *_OF_INIT})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": [_ARCHITECTURES[platform.machine()]],
        "syscalls": [
            {"names": allowed, "action": "SCMP_ACT_ALLOW"},
            {"names": list(_ABSENT), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
            _masked("clone", 0, CLONE_NAMESPACES, 0),
            _equal("socketpair", 0, AF_UNIX),
            *(_equal("ioctl", 1, request) for request in TERMINAL_IOCTLS),
            *(_equal("fcntl", 1, command) for command in FCNTL_COMMANDS),
            *(_equal("prctl", 0, option) for option in sorted({*PRCTL_OPTIONS, *_PRCTL_OF_INIT})),
        ],
    }


def _equal(name: str, index: int, value: int) -> dict[str, Any]:
    return _rule(name, {"index": index, "value": value, "op": "SCMP_CMP_EQ"})


def _masked(name: str, index: int, mask: int, value: int) -> dict[str, Any]:
    return _rule(name, {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"})


def _rule(name: str, argument: dict[str, Any]) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]}
