"""What the machine is made of: QEMU, busybox, and Debian kernels, unpacked and not installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

QEMU = "qemu-system-x86_64"
TOOLS = {QEMU: "qemu-system-x86", "apt-get": "apt", "dpkg-deb": "dpkg"}
CACHE = Path(__file__).resolve().parents[2] / ".venv" / "vm"
META = "linux-image-amd64"
BUSYBOX = "busybox-static"


class MissingError(Exception):
    """Something is not here, and how to get it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """An unpacked kernel with its modules, and a busybox that needs no libraries."""

    kernel: Path
    modules: Path
    busybox: Path


def need_tools(*, install: bool) -> None:
    """Look for the tools; as root in CI, install the emulator."""
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if not missing:
        return
    command = f"apt-get install --yes --no-install-recommends {' '.join(missing)}"
    if not install or os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingError(f"{', '.join(missing)} missing. On Debian or Ubuntu: sudo {command}")
    for line in ("apt-get update", command):
        subprocess.run(
            line.split(),
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )


def fetch(suite: str) -> Parts:
    """Return the parts of a Debian suite's kernel ("" takes this host's own suite), downloaded once."""
    apt = _Apt(suite)
    depends = apt.run("apt-cache", "depends", META)
    found = re.search(r"Depends: (linux-image-\d\S+)", depends)
    if found is None:
        raise MissingError(f"apt knows no {META} of {suite or 'this host'}: run apt-get update")
    root = apt.unpack(found[1])
    (kernel,) = root.glob("boot/vmlinuz-*")
    modules = next(path for path in (root / "usr/lib/modules", root / "lib/modules") if path.exists())
    return Parts(kernel, modules, next(apt.unpack(BUSYBOX).rglob("bin/busybox")))


class _Apt:
    """apt with its own lists for another suite, so that nothing of this host's set-up changes."""

    def __init__(self, suite: str) -> None:
        self._place = CACHE / (suite or "host")
        (self._place / "debs").mkdir(parents=True, exist_ok=True)
        self._options: list[str] = []
        if suite:
            self._use(suite)

    def _use(self, suite: str) -> None:
        # Ask the mirror that this host uses; the keys of its own archive are trusted already.
        targets = _output(
            "apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"
        )
        places = [
            line.split()[0]
            for line in targets.splitlines()
            if line.endswith(" main") and "security" not in line
        ]
        if not places:
            raise MissingError("apt has no package lists: run apt-get update")
        sources, lists = self._place / "sources.list", self._place / "lists"
        sources.write_text(f"deb {places[0]} {suite} main\n")
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        for name, value in (
            ("Dir::Etc::sourcelist", str(sources)), ("Dir::Etc::sourceparts", "-"), ("Dir::State::lists", str(lists)),
            ("Dir::Cache", str(self._place / "cache")), ("APT::Sandbox::User", ""), ("Debug::NoLocking", "true"),
        ):  # fmt: skip
            self._options += ["-o", f"{name}={value}"]
        (self._place / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        if not list(lists.glob("*Packages*")):
            self.run("apt-get", "update", "--quiet")

    def run(self, tool: str, *arguments: str) -> str:
        return _output(tool, *self._options, *arguments, cwd=self._place / "debs")

    def unpack(self, package: str) -> Path:
        """Download and unpack a package, if that was not done before."""
        target = self._place / package
        if target.exists():
            return target
        print(f"vm: downloading {package}", file=sys.stderr)
        self.run("apt-get", "download", "-o", "APT::Sandbox::User=root", package)
        (archive,) = (self._place / "debs").glob(f"{package}_*.deb")
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        subprocess.run(["dpkg-deb", "-x", str(archive), str(partial)], check=True)
        archive.unlink()
        partial.rename(target)
        return target


def _output(*command: str, cwd: Path | None = None) -> str:
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd)
    if ended.returncode:
        raise MissingError(f"{' '.join(command[:2])} failed: {ended.stderr.strip()[-500:]}")
    return ended.stdout
