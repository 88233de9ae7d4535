"""Which files changed since a moment, by what the kernel noted of each: asked by the daemon after a snippet.

The time that counts is ctime, which no call can set. A tree can be as hostile as its program likes, so the walk is bounded
in entries, depth and time, and says when it left something out. A file whose pages are written through a memory map alone
is not found: tmpfs notes no time for that.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from typing import Any, Deque, Dict, FrozenSet, List, Optional, Tuple

from sandboxd.jail import below, kernel, wire

MAX_LOOKED_AT = 20_000
MAX_TOLD = 256
MAX_DEPTH = 32
MAX_PATH_BYTES = 1024  # what a caller can ask for by name
MAX_SECONDS = 0.05
_REMEMBERED = 1024

# Inode, ctime and size of what the daemon itself put in place. A file's time has the resolution of the kernel's tick, so one
# that was uploaded just before a snippet would look as if the snippet had made it.
_known: Deque[Tuple[int, int, int]] = deque(maxlen=_REMEMBERED)
_told: Deque[Tuple[int, int, int]] = deque(maxlen=_REMEMBERED)  # the same of what earlier answers listed


def note(info: os.stat_result) -> None:
    """Remember a file as the daemon's own doing."""
    _known.append(_fact(info))


def _fact(info: os.stat_result) -> Tuple[int, int, int]:
    return info.st_ino, info.st_ctime_ns, info.st_size


def scan(root: int, path: str, message: wire.Message) -> Tuple[wire.Message, Optional[int]]:
    """List what is no directory and changed at or after `since_ns` (real time, of the coarse clock).

    With `keep` also what was listed before and has the same facts: it may have changed twice within one tick.
    """
    known = frozenset((*_known, *(() if message["keep"] else _told)))
    walk = _Walk(root, int(message["since_ns"]), known)
    walk.run(path)
    return {}, below.in_memory({"files": walk.found, "truncated": walk.truncated})


class _Walk:
    """One walk, the nearest directories first."""

    def __init__(self, root: int, since_ns: int, known: FrozenSet[Tuple[int, int, int]]) -> None:
        self._root = root
        self._since_ns = since_ns
        self._known = known
        self._left = MAX_LOOKED_AT
        self._until = time.monotonic() + MAX_SECONDS
        self._todo: Deque[Tuple[str, int]] = deque()
        self.found: List[Dict[str, Any]] = []
        self.truncated = False

    def run(self, path: str) -> None:
        self._todo.append((path, 0))
        while self._todo:
            if self._left <= 0 or time.monotonic() > self._until or len(self.found) >= MAX_TOLD:
                self.truncated = True
                return
            directory, depth = self._todo.popleft()
            try:
                self._list(directory, depth)
            except OSError:  # unreadable, or moved away meanwhile
                self.truncated = True

    def _list(self, directory: str, depth: int) -> None:
        fd = kernel.openat2(self._root, directory, os.O_RDONLY | os.O_DIRECTORY, below.RESOLVE)
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0 or time.monotonic() > self._until:
                        self.truncated = True
                        return
                    self._take(entry, directory, depth)
        finally:
            os.close(fd)

    def _take(self, entry: "os.DirEntry[str]", directory: str, depth: int) -> None:
        path = entry.name if directory == "." else directory + "/" + entry.name
        try:
            info = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # removed meanwhile
            return
        if stat.S_ISDIR(info.st_mode):
            self._descend(path, depth + 1)
        elif info.st_ctime_ns >= self._since_ns and _fact(info) not in self._known:
            self._tell(path, info)

    def _descend(self, path: str, depth: int) -> None:
        if depth > MAX_DEPTH or len(os.fsencode(path)) > MAX_PATH_BYTES:
            self.truncated = True
        else:
            self._todo.append((path, depth))

    def _tell(self, path: str, info: os.stat_result) -> None:
        if len(self.found) >= MAX_TOLD or len(os.fsencode(path)) > MAX_PATH_BYTES:
            self.truncated = True
            return
        self.found.append(below.describe(below.shown(path), info))
        _told.append(_fact(info))
