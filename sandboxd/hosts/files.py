"""Bounded reading of a host's files. Never raises: what cannot be read is None, and `fault` says why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_MAX_BYTES = 1 << 20
_ADMIN = 21  # CAP_SYS_ADMIN, linux/include/uapi/linux/capability.h


@dataclass(frozen=True, slots=True)
class HostFiles:
    """The files of a host, below `root`."""

    root: Path = Path("/")

    def path(self, absolute: str) -> Path:
        """Place an absolute path below the root."""
        return self.root / absolute.lstrip("/")

    def exists(self, absolute: str) -> bool:
        """Tell whether there is such a file; what may not be looked at is not there."""
        try:
            return self.path(absolute).exists()
        except OSError:
            return False

    def names(self, absolute: str) -> list[str] | None:
        """List a directory, sorted; None where it is missing or unreadable."""
        try:
            return sorted(entry.name for entry in self.path(absolute).iterdir())
        except OSError:
            return None

    def read(self, absolute: str) -> str | None:
        """Read a text file without surrounding white space; None where it is missing or unreadable."""
        try:
            return self._read(absolute)
        except OSError:
            return None

    def fault(self, absolute: str) -> str:
        """Say why a file cannot be read; empty where it can."""
        try:
            self._read(absolute)
        except OSError as error:
            return f"{absolute}: {error.strerror or type(error).__name__}"
        return ""

    def _read(self, absolute: str) -> str:
        # O_NONBLOCK: where a fixture, a bind mount or a FUSE file system put a FIFO, opening must not wait for a writer.
        descriptor = os.open(self.path(absolute), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return (file.read(_MAX_BYTES) or b"").decode("utf-8", "replace").strip().strip("\0")

    def sysctl(self, name: str) -> str | None:
        """Read a sysctl by its dotted name; None where this kernel has none."""
        return self.read("/proc/sys/" + name.replace(".", "/"))

    def number(self, name: str) -> int | None:
        """Read a sysctl that holds one number; None where there is none."""
        try:
            return int(self.sysctl(name) or "")
        except ValueError:
            return None

    def status(self, field: str) -> str | None:
        """Read a field of this process's /proc/self/status."""
        for line in (self.read("/proc/self/status") or "").splitlines():
            name, colon, value = line.partition(":")
            if colon and name == field:
                return value.strip()
        return None

    @property
    def is_admin(self) -> bool:
        """Tell whether this process holds CAP_SYS_ADMIN: restrictions of unprivileged namespaces are not for it."""
        try:
            return bool(int(self.status("CapEff") or "0", 16) >> _ADMIN & 1)
        except ValueError:
            return False

    @property
    def is_filtered(self) -> bool | None:
        """Tell whether a seccomp filter of somebody else lies on this process; None where /proc does not say."""
        mode = self.status("Seccomp")
        return None if mode is None else mode == "2"

    @property
    def is_virtual(self) -> bool:
        """Tell whether the processor says that a hypervisor runs it (x86; elsewhere nothing says so)."""
        flags = next(
            (line for line in (self.read("/proc/cpuinfo") or "").splitlines() if line.startswith("flags")), ""
        )
        return "hypervisor" in flags.split()

    @property
    def label(self) -> str:
        """Read the AppArmor or SELinux label of this process; empty where there is none."""
        return (self.read("/proc/self/attr/apparmor/current") or self.read("/proc/self/attr/current") or "")[
            :200
        ]

    @property
    def family(self) -> str:
        """Name the distribution's family, for commands: debian, fedora, or another word of os-release."""
        release = dict(
            line.split("=", 1) for line in (self.read("/etc/os-release") or "").splitlines() if "=" in line
        )
        words = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".replace('"', "").split()
        for family, members in (("debian", {"debian", "ubuntu"}), ("fedora", {"fedora", "rhel", "centos"})):
            if members & set(words):
                return family
        return words[0] if words else ""
