"""Copies and clears the work directories of a session tree. Runs with the guest's ids, on what its program left there.

Every name is opened below a directory descriptor and never followed; directories are walked with a stack of our own, so that
neither a deep tree nor a program's recursion limit ends the walk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Dict, List, Optional, Tuple

from sandboxd.jail import below

PIECE_BYTES = 1 << 20
_LOOK = 0o500
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_Links = Dict[Tuple[int, int], str]


class _Level:
    """A directory of the walk: names that are left, and the copy of it."""

    __slots__ = ("_opened", "info", "names", "path", "source", "target")

    def __init__(self, source: int, target: int, path: str) -> None:
        self.source, self.target, self.path = source, target, path
        self.info = os.fstat(source)
        mode = stat.S_IMODE(self.info.st_mode)
        self._opened = mode | _LOOK != mode
        if self._opened:  # its owner may not look into it: for as long as this takes it may
            os.fchmod(source, mode | _LOOK)
        self.names = os.listdir(source)

    def finish(self) -> None:
        os.fchmod(self.target, stat.S_IMODE(self.info.st_mode))
        os.utime(self.target, ns=(self.info.st_atime_ns, self.info.st_mtime_ns))
        self.close()

    def close(self) -> None:
        if self._opened:
            os.fchmod(self.source, stat.S_IMODE(self.info.st_mode))
        os.close(self.source)
        os.close(self.target)


def copy_tree(source: str, target: str) -> None:
    """Copy what is in `source` into the directory `target`: files with their holes and hard links, links, modes, times.

    The directory itself gets its mode and times too. Special files are left out: a guest cannot make any.

    Raises:
        OSError: ENOSPC, EMFILE (a tree of a thousand levels), and what else the file system says.
    """
    links: _Links = {}
    stack = [_Level(_open_root(source), _open_root(target), "")]
    root = stack[0].target
    try:
        while stack:
            level = stack[-1]
            if not level.names:
                stack.pop().finish()
                continue
            below = _copy_one(level, level.names.pop(), links, root)
            if below is not None:
                stack.append(below)
    finally:
        for level in stack:
            level.close()


def _copy_one(level: _Level, name: str, links: _Links, root: int) -> Optional[_Level]:
    if name.startswith(below.TEMPORARY):
        return None
    info = os.stat(name, dir_fd=level.source, follow_symlinks=False)
    path = level.path + name
    if stat.S_ISDIR(info.st_mode):
        os.mkdir(name, 0o700, dir_fd=level.target)
        return _Level(_open_own(level.source, name, info), _open_directory(name, level.target), path + "/")
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(name, dir_fd=level.source), name, dir_fd=level.target)
    elif stat.S_ISREG(info.st_mode):
        key = (info.st_dev, info.st_ino)
        if key in links:
            with contextlib.suppress(OSError):
                os.link(links[key], name, src_dir_fd=root, dst_dir_fd=level.target)
                return None
        _copy_file(level, name, info)
        if info.st_nlink > 1:
            links[key] = path
    return None


def _copy_file(level: _Level, name: str, info: os.stat_result) -> None:
    source = _open_own(level.source, name, info)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, 0o600, dir_fd=level.target)
        try:
            _copy_data(source, target, info.st_size)
            os.fchmod(target, stat.S_IMODE(info.st_mode))
            os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
        finally:
            os.close(target)
    finally:
        os.close(source)


def _copy_data(source: int, target: int, size: int) -> None:
    """Copy up to the size that was seen: what grows meanwhile has no end."""
    place = 0
    while place < size:
        try:
            place = os.lseek(source, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # a hole up to the end
                raise
            break
        end = min(os.lseek(source, place, os.SEEK_HOLE), size)
        while place < end:
            piece = os.pread(source, min(PIECE_BYTES, end - place), place)
            if not piece:
                return
            place += os.pwrite(target, piece, place)
    os.ftruncate(target, size)


def clear_tree(path: str) -> None:
    """Remove all that is in a directory, and leave that.

    Raises:
        OSError: what the file system says.
    """
    stack = [(_open_root(path), "")]
    os.fchmod(stack[0][0], 0o700)
    names: List[List[str]] = [os.listdir(stack[0][0])]
    try:
        while stack:
            directory, own = stack[-1]
            if not names[-1]:
                stack.pop()
                names.pop()
                os.close(directory)
                if stack:
                    os.rmdir(own, dir_fd=stack[-1][0])
                continue
            name = names[-1].pop()
            below = _remove_one(directory, name)
            if below is not None:
                stack.append((below, name))
                names.append(os.listdir(below))
    finally:
        for directory, _ in stack:
            os.close(directory)


def _remove_one(directory: int, name: str) -> Optional[int]:
    """Remove a file; of a directory return a descriptor."""
    info = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(name, dir_fd=directory)
        return None
    below = _open_own(directory, name, info)
    os.fchmod(below, 0o700)
    return below


def _open_directory(path: str, parent: Optional[int] = None) -> int:
    return os.open(path, _OPEN | os.O_DIRECTORY, dir_fd=parent)


def _open_root(path: str) -> int:
    return _open_own(None, path, os.stat(path, follow_symlinks=False))


def _open_own(parent: Optional[int], name: str, info: os.stat_result) -> int:
    """Open what belongs to this user, also where its mode lets not even the owner in."""
    try:
        return os.open(name, _OPEN, dir_fd=parent)
    except PermissionError:
        mode = stat.S_IMODE(info.st_mode)
        os.chmod(name, mode | _LOOK, dir_fd=parent)
        try:
            return os.open(name, _OPEN, dir_fd=parent)
        finally:
            os.chmod(name, mode, dir_fd=parent)
