"""The undertaker: a fork of the launcher that outlives it by seconds, to remove what a killed launcher cannot.

Processes need no undertaker (each box's pid 1 holds a lease), but empty cgroups and the daemon's private directory would
stay. It sleeps on a pipe; end of file means the launcher is gone, in whatever way.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

PATIENCE_SECONDS = 10.0


class Undertaker:
    """The launcher's side: tell it what to remove."""

    def __init__(self) -> None:
        read, self._write = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _live(read)
            finally:
                os._exit(0)
        os.close(read)

    def remember(self, *, cgroups: list[str], directory: str | None) -> None:
        """Name the cgroup parents and the directory to remove in the end. The last call counts."""
        os.write(self._write, json.dumps({"cgroups": cgroups, "directory": directory}).encode() + b"\n")

    def release(self) -> None:
        """Let it do its work and end."""
        os.close(self._write)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _live(read: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.dup2(read, 3)
    os.closerange(4, 1024)  # above all the front's socket: held here, nobody would see it close
    last = b"{}"
    with open(3, "rb") as pipe:
        for line in pipe:
            last = line
    work = json.loads(last)
    _remove_cgroups([Path(root) for root in work.get("cgroups", ())])
    if work.get("directory"):
        shutil.rmtree(work["directory"], ignore_errors=True)


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
