"""Bounded reading of the host's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Host:
    """The files of a host, below `root`."""

    root: Path

    def path(self, absolute: str) -> Path:
        """Place an absolute path below the root."""
        return self.root / absolute.lstrip("/")

    def exists(self, absolute: str) -> bool:
        """Tell whether there is such a file; what may not be looked at is not there."""
        try:
            return self.path(absolute).exists()
        except OSError:
            return False

    def read(self, absolute: str) -> str | None:
        """Read a text file without its final newline; None where it is missing or unreadable."""
        try:
            with self.path(absolute).open("rb") as file:
                return file.read(_MAX_BYTES).decode("utf-8", "replace").strip()
        except OSError:
            return None

    def sysctl(self, name: str) -> str | None:
        """Read a sysctl by its dotted name; None where this kernel has none."""
        return self.read("/proc/sys/" + name.replace(".", "/"))
