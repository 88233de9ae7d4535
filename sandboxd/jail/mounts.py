"""The box's file system: a read-only root that holds the interpreter, the environment and nothing else of the host.

Every step here runs as pid 1 of a fresh mount namespace, before anything untrusted exists. The layout (what to bind,
which links and files to make) comes from the launcher, decided once per environment.
"""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, List, Tuple

from sandboxd.jail import kernel

# Any directory that exists everywhere serves: the mount on it is visible in this namespace only.
BUILD_POINT = "/tmp"  # noqa: S108
SCRATCH = "/.scratch"
WORK, CLONES = "/work", "/clones"
SHARED = ("/tmp", "/dev/shm")  # noqa: S108  by all members of a session tree
WRITABLE = (("work", WORK), ("clones", CLONES), ("tmp", SHARED[0]), ("shm", SHARED[1]))
DEVICES = ("null", "zero", "full", "random", "urandom")
INODES_OF_OURS = 2  # the file behind the descriptor for statfs, the directory of clones
FIRST_SCRATCH = "size=1m,nr_inodes=64,mode=755"


def open_sources(layout: Dict[str, Any]) -> List[Tuple[int, str, bool]]:
    """Open every bind source as O_PATH while this process may still walk to it.

    In root mode the next step gives up the host's uid 0, after which an interpreter below a 0700 home is out of reach.
    Descriptors opened before the new mount namespace would not do: bind refuses mounts of another namespace.
    """
    opened = []
    for source, target in layout["binds"]:
        fd = os.open(source, kernel.O_PATH | os.O_CLOEXEC)
        opened.append((fd, target, stat.S_ISDIR(os.fstat(fd).st_mode)))
    devices = ["/dev/" + name for name in DEVICES]
    return opened + [(os.open(path, kernel.O_PATH | os.O_CLOEXEC), path, False) for path in devices]


def build_root(layout: Dict[str, Any], sources: List[Tuple[int, str, bool]], guest_uid: int) -> int:
    """Mount the new root at BUILD_POINT. Does not enter it.

    Returns:
        A descriptor of the writable file system, for statfs(2) and nothing else: see `_mount_scratch`.
    """
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount(
        "root", BUILD_POINT, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=2m,nr_inodes=4096,mode=755"
    )
    for fd, target, is_directory in sources:
        _bind(fd, target, is_directory)
    for path in layout["covers"]:
        _cover(path)
    for link, destination in layout["links"]:
        os.makedirs(os.path.dirname(BUILD_POINT + link), exist_ok=True)
        os.symlink(destination, BUILD_POINT + link)
    for path, text in layout["files"].items():
        _write(BUILD_POINT + path, text)
    _mount_proc()
    return _mount_scratch(guest_uid)


def _bind(fd: int, target: str, is_directory: bool) -> None:
    place = BUILD_POINT + target
    if is_directory:
        os.makedirs(place, exist_ok=True)
    else:
        _write(place, "")
    kernel.mount("/proc/self/fd/%d" % fd, place, "", kernel.MS_BIND | kernel.MS_REC)
    os.close(fd)
    if target.startswith("/dev/"):
        kernel.set_mount_flags(place, kernel.MS_NOSUID | kernel.MS_NOEXEC)
    else:
        kernel.set_mount_flags(place, kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV)


def _cover(path: str) -> None:
    """Hide a directory inside a bound tree, such as the host interpreter's own site-packages."""
    if os.path.isdir(BUILD_POINT + path):
        flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
        kernel.mount("none", BUILD_POINT + path, "tmpfs", flags, "size=4k,nr_inodes=2,mode=755")


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _mount_proc() -> None:
    # subset=pid hides keys, kallsyms, timers, sysctls: all that is not a process. hidepid hides pid 1 from the guest.
    place = BUILD_POINT + "/proc"
    os.mkdir(place)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", place, "proc", flags, "hidepid=invisible,subset=pid")


def _mount_scratch(guest_uid: int) -> int:
    """Mount one tmpfs behind /work, /clones, /tmp and /dev/shm, so that one size and one inode limit hold for all.

    The descriptor that is returned leaves the box. It is of an empty file that no path of the box leads to: whoever holds it
    can ask how full the file system is, and can open nothing in it.
    """
    scratch = BUILD_POINT + SCRATCH
    os.mkdir(scratch)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("scratch", scratch, "tmpfs", flags, FIRST_SCRATCH)
    for name, target in WRITABLE:
        directory = os.path.join(scratch, name)
        os.mkdir(directory)
        os.chown(directory, guest_uid, guest_uid)
        os.chmod(directory, 0o755 if target in (WORK, CLONES) else 0o1777)
        os.makedirs(BUILD_POINT + target, exist_ok=True)
        kernel.mount(directory, BUILD_POINT + target, "", kernel.MS_BIND)
    statistics = os.open(scratch + "/statistics", os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0)
    kernel.umount(scratch, kernel.MNT_DETACH)
    os.rmdir(scratch)
    return statistics


def enter_root() -> None:
    """Make BUILD_POINT the root and let go of the old one, then make the new one read-only.

    pivot_root and not chroot: chroot is left through any leaked directory descriptor.
    """
    os.chdir(BUILD_POINT)
    kernel.pivot_root(".", ".")
    kernel.umount(".", kernel.MNT_DETACH)
    os.chdir("/")
    kernel.set_mount_flags("/", kernel.MS_RDONLY, recursive=False)


def size_scratch(size_bytes: int, inodes: int) -> None:
    """Set the limits of the writable file system (all mount points share it)."""
    flags = kernel.MS_REMOUNT | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("", "/work", "", flags, "size=%d,nr_inodes=%d" % (size_bytes, inodes + INODES_OF_OURS))
