"""The undertaker: a fork of the launcher that outlives it, to remove what a killed launcher or front cannot.

Processes need no undertaker (each box's pid 1 holds a lease), but empty cgroups, the sockets and the daemon's private
directory would stay. It sleeps on two pipes. End of file on the launcher's means that the launcher is gone, in whatever way:
its cgroups go. Then it waits for the front's: end of file means that the front is gone as well, and its sockets go; a line
says that another launcher, with an undertaker of its own, has taken over, or that the front ends in order.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

PATIENCE_SECONDS = 10.0
LOCK_SECONDS = 0.5
RELEASE_SECONDS = 2.0


class Undertaker:
    """The launcher's side: tell it what to remove.

    Args:
        front: the reading end of the front's pipe (`Will`); closed here.
    """

    def __init__(self, front: int) -> None:
        read, self._write = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _live(read, front)
            finally:
                os._exit(0)
        os.close(read)
        os.close(front)

    def remember(self, cgroups: list[str]) -> None:
        """Name the cgroup parents to remove in the end. The last call counts."""
        os.write(self._write, json.dumps(cgroups).encode() + b"\n")

    def release(self) -> None:
        """Let it do its work, and wait for its end; not for ever: the front may have to end first."""
        os.close(self._write)
        until = time.monotonic() + RELEASE_SECONDS
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(self.pid, os.WNOHANG) == (0, 0) and time.monotonic() < until:
                time.sleep(0.002)


class Will:
    """The front's side: says what goes when it is gone, and holds the pipe that tells of that.

    Args:
        directory: removed as soon as the launcher is gone; None for none.
        sockets: named sockets, each with the private directory whose lock its owner holds.
    """

    def __init__(self, directory: Path | None, sockets: Iterable[tuple[Path, Path]]) -> None:
        named = [[str(public), str(private)] for public, private in sockets]
        words = {"directory": str(directory) if directory is not None else None, "sockets": named}
        self._read, self._write = os.pipe2(os.O_CLOEXEC)
        os.write(self._write, json.dumps(words).encode() + b"\n")

    @contextlib.contextmanager
    def reader(self) -> Iterator[int]:
        """Lend the reading end, to be passed on to the launcher, and close it."""
        try:
            yield self._read
        finally:
            os.close(self._read)

    def dismiss(self) -> None:
        """Let the undertaker go: nothing is left to it. Idempotent."""
        if self._write >= 0:
            with contextlib.suppress(OSError):  # it is gone already
                os.write(self._write, b"done\n")
            os.close(self._write)
            self._write = -1


def _live(read: int, front: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parked = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (read, front)]
    for target, fd in enumerate(parked, 3):
        os.dup2(fd, target)
    os.closerange(5, 1024)  # above all the front's socket: held here, nobody would see it close
    with open(3, "rb") as launcher_pipe, open(4, "rb") as front_pipe:
        will = json.loads(front_pipe.readline() or b"{}")
        last = b"[]"
        for line in launcher_pipe:
            last = line
        _remove_cgroups([Path(root) for root in json.loads(last)])
        if will.get("directory"):
            shutil.rmtree(will["directory"], ignore_errors=True)
        if front_pipe.readline():
            return
    for public, private in will.get("sockets", ()):
        with contextlib.suppress(OSError):
            _remove_socket(public, private)


def _remove_socket(public: str, private: str) -> None:
    """Remove a dead front's socket, under its lock: whoever has that by now, a new daemon, has the socket too."""
    directory = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > until:
                return
            time.sleep(0.01)  # the front's descriptors close one after the other
    Path(public).unlink(missing_ok=True)
    shutil.rmtree(private, ignore_errors=True)
    os.close(directory)


def _remove_cgroups(roots: list[Path]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(root.exists() for root in roots) and time.monotonic() < deadline:
        for root in roots:
            for directory in sorted((p for p in root.glob("**/") if p.is_dir()), reverse=True):
                try:
                    directory.rmdir()
                except OSError:
                    continue  # still has a dying process: next round
        time.sleep(0.01)
