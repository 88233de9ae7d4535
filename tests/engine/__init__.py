"""A container engine of the tests' own: its data, sockets and pid files in one directory, and it ends only what it started.

A directory is owned by the process that holds its lock. What a killed run left is found by the lock that nobody holds: its
engine's processes are known by that directory in their command lines, and by nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

BASE = Path("/var/tmp")
PREFIX = "sandboxd-engine-"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
PROGRAMS = ("dockerd", "containerd", "runc", "runsc")
# The default platform (never KVM, which CI has not), no network, and the engine's filter inside the sandbox too.
RUNSC_ARGUMENTS = ["--network=none", "--oci-seccomp"]


def available() -> bool:
    """Tell whether an engine can be started here: as root, with the programs of Debian's docker.io and runsc."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in PROGRAMS)


@dataclass(slots=True)
class OwnEngine:
    """A running engine. `home` is removed with it."""

    home: Path
    runtimes: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    _lock: int = field(default=-1)

    @property
    def socket(self) -> Path:
        return self.home / "sock"

    @property
    def images(self) -> Path:
        return self.home / "images"

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Ask by the command line, as somebody who is not us."""
        command = ["docker", "-H", f"unix://{self.socket}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def inspect(self, container: str) -> dict:
        return json.loads(self.docker("inspect", container))[0]

    def containers(self) -> list[str]:
        return self.docker("ps", "-a", "-q", "--no-trunc").split()

    def start(self) -> None:
        """Start the engine, again after `kill` or `stop` too, on the same data."""
        config = {
            "runtimes": {
                "runsc": {"path": shutil.which("runsc"), "runtimeArgs": RUNSC_ARGUMENTS},
            }
        }
        (self.home / "daemon.json").write_text(json.dumps(config if "runsc" in self.runtimes else {}))
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    "dockerd", f"--config-file={self.home}/daemon.json", f"--data-root={self.home}/data",
                    f"--exec-root={self.home}/exec", f"--pidfile={self.home}/pid", f"--host=unix://{self.socket}",
                    f"--cgroup-parent=/{self.home.name}", "--iptables=false", "--bridge=none", "--ip-forward=false", "--ip-masq=false",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                tail = (self.home / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the test engine does not start:\n{tail}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(5)
                sock.connect(str(self.socket))
                sock.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
                return b" 200 " in sock.recv(64)
        except OSError:
            return False

    def kill(self) -> None:
        """Kill the engine as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        # Its containerd dies with it. Where pid 1 reaps nothing, the corpse would look alive to the next engine.
        (self.home / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop the engine in order; its data stays."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self) -> None:
        """Stop the engine and remove everything that belonged to it. Idempotent."""
        self.stop()
        clean(self.home)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def start_engine(*, runtimes: tuple[str, ...] = ("runc", "runsc")) -> OwnEngine:
    """Start an engine in a directory of its own, after removing what killed runs left."""
    sweep()
    for number in range(1000):
        home = BASE / f"{PREFIX}{os.getpid()}-{number}"
        with contextlib.suppress(FileExistsError):
            home.mkdir(mode=0o700)
            break
    lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    engine = OwnEngine(home, runtimes, _lock=lock)
    try:
        engine.start()
    except BaseException:
        engine.close()
        raise
    return engine


def sweep() -> None:
    """Remove what runs left that were killed: directories whose lock nobody holds."""
    for home in BASE.glob(f"{PREFIX}*"):
        try:
            lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another run sweeps too
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            clean(home)
        finally:
            os.close(lock)


def clean(home: Path) -> None:
    """End the processes of an engine that lived there, let go of its mounts, and remove it."""
    until = time.monotonic() + STOP_SECONDS
    while pids := _processes(home):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            raise RuntimeError(f"processes of {home} do not end: {pids}")
        time.sleep(0.05)
    for group in [*Path("/sys/fs/cgroup").glob(home.name), *Path("/sys/fs/cgroup").glob(f"*/{home.name}")]:
        _remove_groups(group)
    for _ in range(3):
        for mount in reversed(_mounts(home)):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


def _remove_groups(group: Path) -> None:
    for path, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(path).rmdir()


def _processes(home: Path) -> list[int]:
    """Find what runs for an engine of that directory: dockerd, containerd, shims, gVisor."""
    needle = f"{home}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                program = os.path.basename(words[0])
                ours = program.startswith((b"dockerd", b"containerd", b"runc", b"runsc"))
                if ours and any(needle in word for word in words):
                    found.append(int(entry.name))
    return found


def _mounts(home: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [place for line in lines if (place := line.split()[4]).startswith(f"{home}/")]
