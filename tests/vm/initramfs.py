"""The first file system of the machine: busybox, the modules to reach this host's files, and what to do then."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
from pathlib import Path

from tests.vm.packages import Parts

# In this order; a kernel may have some built in.
MODULES = (
    "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "netfs", "fscache", "9pnet",
    "9pnet_virtio", "9p",
)  # fmt: skip
HERE = Path(__file__).parent
_READ = {".ko": bytes, ".xz": lzma.decompress, ".gz": gzip.decompress}


class Archive:
    """A cpio archive in the kernel's format ("newc")."""

    def __init__(self) -> None:
        self._raw = io.BytesIO()
        self._inode = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        """Append a file, a directory, or a device."""
        self._inode += 1
        path = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
        for piece in (head, data):
            self._raw.write(piece + b"\0" * (-len(piece) % 4))

    def finish(self) -> bytes:
        """Return the archive, compressed."""
        self.add("TRAILER!!!", 0)
        return gzip.compress(self._raw.getvalue(), 1)


def build(parts: Parts, variables: dict[str, str]) -> bytes:
    """Return the archive; `variables` are set for what runs inside."""
    archive = Archive()
    for name in ("bin", "modules", "proc", "sys", "dev", "root"):
        archive.add(name, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("bin/busybox", stat.S_IFREG | 0o755, parts.busybox.read_bytes())
    found = {path.name.partition(".ko")[0]: path for path in parts.modules.rglob("*.ko*")}
    for number, name in enumerate(name for name in MODULES if name in found):
        data = _READ[found[name].suffix](found[name].read_bytes())
        archive.add(f"modules/{number:02}-{name}.ko", stat.S_IFREG | 0o644, data)
    lines = [f"{name}='{value}'\n" for name, value in variables.items()]
    archive.add("init", stat.S_IFREG | 0o755, (HERE / "init.sh").read_bytes())
    archive.add(
        "inside.sh", stat.S_IFREG | 0o755, "".join(lines).encode() + (HERE / "inside.sh").read_bytes()
    )
    return archive.finish()
