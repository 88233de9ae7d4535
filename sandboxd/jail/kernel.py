"""System calls that the standard library does not offer (or not on 3.9), each raising OSError with the call's name.

Numbers: linux/arch/{x86,arm64} unistd tables; constants: linux/include/uapi.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
from typing import NoReturn, Optional

_libc = ctypes.CDLL(None, use_errno=True)
# PyDLL keeps the GIL: the child of a raw clone goes on in the midst of the call, and must find it held.
_libc_gil = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc_gil.syscall.restype = ctypes.c_long
for _hook in ("PyOS_BeforeFork", "PyOS_AfterFork_Parent", "PyOS_AfterFork_Child"):
    getattr(_libc_gil, _hook).restype = None

MACHINE = platform.machine()
_NUMBERS = {
    "x86_64": {"clone": 56, "pivot_root": 155, "capset": 126, "seccomp": 317, "sethostname": 170},
    "aarch64": {"clone": 220, "pivot_root": 41, "capset": 91, "seccomp": 277, "sethostname": 161},
}
# The same on every architecture (asm-generic, 5.x and later).
_COMMON = {
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_PARENT = 0x10000000, 0x20000000, 0x40000000, 0x00008000
CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 0x00200000, 0x01000000
CLONE_INTO_CGROUP = 1 << 33

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_CAPBSET_DROP = 1, 4, 15, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_SET_SPECULATION_CTRL = 38, 47, 53
PR_CAP_AMBIENT_CLEAR_ALL = 4
PR_GET_TID_ADDRESS = 40
PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH, PR_SPEC_FORCE_DISABLE = 0, 1, 8

O_PATH = 0o10000000
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 1, 2, 4, 8


def supported_machine() -> bool:
    """Tell whether this architecture's system call numbers are known."""
    return MACHINE in _NUMBERS


def number(name: str) -> int:
    """Return the number of a system call on this architecture."""
    return _COMMON[name] if name in _COMMON else _NUMBERS[MACHINE][name]


def _fail(what: str) -> NoReturn:
    code = ctypes.get_errno()
    raise OSError(code, "%s: %s" % (what, os.strerror(code)))


def _call(name: str, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number(name)), *arguments))
    if result < 0:
        _fail(name)
    return result


def clone(flags: int, cgroup: Optional[int] = None) -> int:
    """Fork with clone flags; return 0 in the child and its pid here. For a process of one thread alone.

    Unlike `os.fork` this runs no fork hooks, here or there: they mend locks that other threads held, thread ids, and random
    state, of which a pid 1 has none to mend. They touch 130 pages, each of which a fork copies. Its guest comes from
    `os.fork`, and has all of them.

    Args:
        flags: CLONE_NEW*, and CLONE_PARENT for a sibling; with a cgroup CLONE_PARENT must be among them.
        cgroup: the directory of the v2 cgroup to be born in. To be moved there later costs milliseconds: see `groups`.
    """
    zero = ctypes.c_long(0)
    if cgroup is None:
        arguments = (ctypes.c_ulong(flags | signal.SIGCHLD), zero, zero, zero, zero)
        pid = int(_libc_gil.syscall(ctypes.c_long(number("clone")), *arguments))
    else:
        # struct clone_args: flags first, the cgroup last. The signal of a sibling's death is this process's own.
        packed = struct.pack("<11Q", flags | CLONE_INTO_CGROUP, *[0] * 9, cgroup)
        pid = int(_libc_gil.syscall(ctypes.c_long(number("clone3")), packed, ctypes.c_size_t(len(packed))))
    if pid < 0:
        _fail("clone")
    return pid


def fork_beside() -> int:
    """Fork as `os.fork` does, but a child of this process's own parent. For a process of one thread alone.

    A parent learns the wait status, and nobody else can reap unseen: so pid 1 knows of every member of its box. Python's
    own fork hooks run. The C library's do not: it has nothing to mend where no second thread held a lock, but for the
    number of the thread, which the kernel writes where glibc's own fork has it written.
    """
    place = ctypes.c_ulong(0)
    if _libc.prctl(ctypes.c_int(PR_GET_TID_ADDRESS), ctypes.byref(place)) != 0:  # a kernel may be without it
        place.value = 0
    mended = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID if place.value else 0
    # clone(2): flags and stack come first everywhere, the child's tid fourth on x86-64 and last on arm64.
    zero, tid = ctypes.c_ulong(0), ctypes.c_ulong(place.value)
    rest = (zero, tid, zero) if MACHINE == "x86_64" else (zero, zero, tid)
    call = ctypes.c_long(number("clone"))
    flags = ctypes.c_ulong(CLONE_PARENT | mended | signal.SIGCHLD)
    _libc_gil.PyOS_BeforeFork()
    pid = int(_libc_gil.syscall(call, flags, zero, *rest))
    if pid == 0:
        _libc_gil.PyOS_AfterFork_Child()
        return 0
    _libc_gil.PyOS_AfterFork_Parent()
    if pid < 0:
        _fail("clone")
    return pid


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    if _libc.unshare(ctypes.c_int(flags)) != 0:
        _fail("unshare")


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Call mount(2)."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    if result != 0:
        _fail("mount %s" % target)


def set_mount_flags(target: str, flags: int, *, recursive: bool = True) -> None:
    """Add MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC to a mount and, in the same call, to every mount below it.

    A bind mount ignores flags given with MS_BIND, and a plain remount reaches no submount.
    """
    attributes = struct.pack("<QQQQ", flags, 0, 0, 0)  # MOUNT_ATTR_* have the values of these MS_* flags
    at_recursive = 0x8000 if recursive else 0
    _call(
        "mount_setattr",
        ctypes.c_int(-100),
        os.fsencode(target),
        ctypes.c_uint(at_recursive),
        attributes,
        ctypes.c_size_t(len(attributes)),
    )


def umount(target: str, flags: int) -> None:
    """Call umount2(2)."""
    if _libc.umount2(os.fsencode(target), ctypes.c_int(flags)) != 0:
        _fail("umount %s" % target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Call pivot_root(2)."""
    _call("pivot_root", os.fsencode(new_root), os.fsencode(put_old))


def sethostname(name: str) -> None:
    """Call sethostname(2)."""
    raw = name.encode()
    _call("sethostname", raw, ctypes.c_size_t(len(raw)))


def prctl(option: int, *arguments: int) -> int:
    """Call prctl(2)."""
    padded = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(_libc.prctl(ctypes.c_int(option), *padded))
    if result < 0:
        _fail("prctl(%d)" % option)
    return result


def ignore_child_stops() -> None:
    """Set SA_NOCLDSTOP on the SIGCHLD handler: a child that is stopped and woken is none that ended.

    The standard library sets no flags. struct sigaction of glibc and musl, 64 bits: handler, 128 bytes of mask, flags.
    """
    action = ctypes.create_string_buffer(8 + 128 + 16)
    if _libc.sigaction(ctypes.c_int(signal.SIGCHLD), None, action) != 0:
        _fail("sigaction")
    flags = struct.unpack_from("@i", action, 136)[0]
    struct.pack_into("@i", action, 136, flags | 1)
    if _libc.sigaction(ctypes.c_int(signal.SIGCHLD), action, None) != 0:
        _fail("sigaction")


def close_from(first: int) -> None:
    """Close every descriptor from `first` up."""
    _call("close_range", ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), ctypes.c_uint(0))


def capset(effective: int, permitted: int, inheritable: int = 0) -> None:
    """Set this thread's capability sets (bit masks)."""
    header = struct.pack("<Ii", 0x20080522, 0)
    halves = [(m & 0xFFFFFFFF, m >> 32) for m in (effective, permitted, inheritable)]
    data = struct.pack("<6I", *(h[0] for h in halves), *(h[1] for h in halves))
    _call("capset", header, data)


def load_seccomp(program: bytes) -> None:
    """Install a compiled BPF program (struct sock_filter[]) as a seccomp filter."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    _call("seccomp", ctypes.c_uint(1), ctypes.c_uint(0), header)


def openat2(dirfd: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    """Open `path` with openat2(2) below `dirfd` under the given RESOLVE_* rules."""
    how = struct.pack("<QQQ", flags | os.O_CLOEXEC, mode, resolve)
    return _call("openat2", ctypes.c_int(dirfd), os.fsencode(path), how, ctypes.c_size_t(len(how)))


def landlock_abi() -> int:
    """Return the kernel's Landlock ABI, 0 where Landlock is absent or off."""
    zero = ctypes.c_long(0)
    result = int(
        _libc.syscall(ctypes.c_long(number("landlock_create_ruleset")), zero, zero, ctypes.c_uint(1))
    )
    return max(result, 0)


def landlock_create(attributes: bytes) -> int:
    """Create a ruleset from struct landlock_ruleset_attr; return its descriptor."""
    return _call("landlock_create_ruleset", attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))


def landlock_add_path(ruleset: int, access: int, parent_fd: int) -> None:
    """Allow `access` beneath the directory (or on the file) that `parent_fd` refers to."""
    rule = struct.pack("<Qi", access, parent_fd)
    _call("landlock_add_rule", ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0))


def landlock_restrict(ruleset: int) -> None:
    """Enforce a ruleset on this thread, for good."""
    _call("landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint(0))
