"""The real daemon in a process of its own, for fixtures and for tests that keep several."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sandboxd_client
import sandboxd_proto

import sandboxd

SLOWNESS = float(os.environ.get("SANDBOXD_TEST_SLOWNESS", "1"))  # of this machine: 'make vm' emulates one
START_SECONDS = 30 * SLOWNESS
# An editable install is found by a hook of this interpreter; another one needs the directories.
SOURCES = sorted(
    {str(Path(module.__file__).parents[1]) for module in (sandboxd, sandboxd_client, sandboxd_proto)}
)
STOP_SECONDS = 20 * SLOWNESS


@dataclass
class Daemon:
    """A real `sandboxd serve --embedded` in a process of its own."""

    process: subprocess.Popen[bytes]
    runtime_dir: Path
    state_dir: Path
    stderr: Path
    lifeline: int
    address: str = ""
    admin_address: str = ""
    own_address: str = ""
    error: dict[str, str] = field(default_factory=dict)

    def logged(self) -> str:
        """Return what it wrote to stderr."""
        return self.stderr.read_text()

    def terminate(self) -> int:
        """Send SIGTERM and wait."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL and wait."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def drop_lifeline(self) -> None:
        """Close the lifeline, as the death of the embedding process does. Idempotent."""
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1


StartDaemon = Callable[..., Daemon]


def start_daemon_process(
    runtime_dir: Path,
    state_dir: Path,
    *flags: str,
    python: str = sys.executable,
    tree: Path | None = None,
    **popen: Any,
) -> Daemon:
    """Start a daemon and wait until it serves or says why not (`Daemon.error`).

    `tree` holds the packages to run instead of these ones: see `mutants.make_mutant`.
    """
    ready_read, ready_write = os.pipe()
    lifeline_read, lifeline_write = os.pipe()
    stderr = state_dir.with_name(f"{state_dir.name}-{time.monotonic_ns()}.log")
    command = [
        *(python, "-m", "sandboxd", "serve", "--embedded", "--runtime-dir", str(runtime_dir)),
        *("--state-dir", str(state_dir), "--lifeline-fd", str(lifeline_read), "--ready-fd", str(ready_write)),
        *flags,
    ]
    first = [str(tree)] if tree is not None else []
    try:
        with stderr.open("wb") as log:
            process = subprocess.Popen(
                command,
                pass_fds=(lifeline_read, ready_write),
                stderr=log,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([*first, *SOURCES, *filter(None, sys.path)]),
                },
                # `python -m` puts the working directory first: from the checkout no other tree would be found.
                cwd=tree,
                **popen,
            )
    finally:
        os.close(ready_write)
        os.close(lifeline_read)
    daemon = Daemon(process, runtime_dir, state_dir, stderr, lifeline_write)
    try:
        line = _first_line(ready_read)
    finally:
        os.close(ready_read)
    told = json.loads(line) if line else {"error": {"code": "", "message": daemon.logged()}}
    daemon.address, daemon.admin_address = told.get("address", ""), told.get("admin_address", "")
    daemon.own_address = told.get("own_address", "")
    daemon.error = told.get("error", {})
    return daemon


def _first_line(descriptor: int) -> bytes:
    line, until = b"", time.monotonic() + START_SECONDS
    while not line.endswith(b"\n"):
        if not select.select([descriptor], [], [], max(0, until - time.monotonic()))[0]:
            raise TimeoutError(f"the daemon said nothing within {START_SECONDS} s")
        piece = os.read(descriptor, 65536)
        if not piece:
            break
        line += piece
    return line


def end_daemon_process(daemon: Daemon) -> None:
    """End a daemon however a test left it."""
    daemon.drop_lifeline()
    with contextlib.suppress(subprocess.TimeoutExpired):
        daemon.process.wait(STOP_SECONDS)
        return
    daemon.kill()
