"""The v2 group of a box's guest and all that it starts: a child of the box's own, in which pid 1 stays.

It is a threaded group. A process enters it by itself at no cost (see `sandboxd.jail.groups`), a freezer works as elsewhere,
and there are no controllers below the box's group, so the limits that sit there hold for pid 1 and guest together.

Never the v1 freezer: a process frozen by it ignores SIGKILL, and keeps its pid 1 from ending. Here a kill ends it at once.
"""

from __future__ import annotations

import os
from pathlib import Path

NAME = "guest"


class GuestGroup:
    """Freezes and thaws. The descriptor is kept open: between snippets it is one write each way."""

    def __init__(self, box: Path) -> None:
        self.path = box / NAME
        self.path.mkdir()
        (self.path / "cgroup.type").write_text("threaded")
        self._freeze = os.open(self.path / "cgroup.freeze", os.O_WRONLY | os.O_CLOEXEC)

    def open_door(self) -> int:
        """Open the file through which a guest enters; the caller closes it."""
        return os.open(self.path / "cgroup.threads", os.O_WRONLY | os.O_CLOEXEC)

    def add(self, pid: int) -> None:
        """Move a process of one thread here, where it could not do so itself."""
        (self.path / "cgroup.threads").write_text(str(pid))

    def freeze(self) -> None:
        """Stop everything in the group. Not waited for: no process returns to its program once this was written."""
        os.write(self._freeze, b"1")

    def thaw(self) -> None:
        """Let everything go on."""
        os.write(self._freeze, b"0")

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._freeze)
