"""Fixtures of all tests: the real daemon in a process of its own, and `--require` for facilities.

A test marked `userns` or `root` is skipped where the facility is missing; with `--require=userns,root` (CI) it fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
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
_TRY_USERNS = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000 | 0x20000) != 0)"


def _has_userns() -> bool:
    return subprocess.run([sys.executable, "-I", "-c", _TRY_USERNS], check=False).returncode == 0


def _has_v2() -> bool:
    """Tell whether cgroup v2 has the controllers, and not v1 beside it."""
    offered = Path("/sys/fs/cgroup/cgroup.controllers")
    return offered.exists() and {"memory", "pids"} <= set(offered.read_text().split())


FACILITIES: dict[str, Callable[[], bool]] = {
    "userns": _has_userns,
    "root": lambda: os.geteuid() == 0,
    "v2": _has_v2,
}
_found: dict[str, bool] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        default="",
        metavar="NAMES",
        help=f"facilities whose absence fails instead of skipping: {','.join(FACILITIES)}",
    )


def pytest_configure(config: pytest.Config) -> None:
    unknown = _required(config) - FACILITIES.keys()
    if unknown:
        raise pytest.UsageError(f"--require: unknown facility {sorted(unknown)}; known: {sorted(FACILITIES)}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, available in FACILITIES.items():
        if item.get_closest_marker(name) is None:
            continue
        if name not in _found:
            _found[name] = available()
        if not _found[name]:
            reason = f"{name} is not available here"
            pytest.fail(f"{reason}, and --require demands it") if name in _required(
                item.config
            ) else pytest.skip(reason)


def _required(config: pytest.Config) -> set[str]:
    return {name for name in config.getoption("--require").split(",") if name}


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


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory short enough for a socket address; pytest's own may not be."""
    path = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start_daemon(short_dir: Path) -> Iterator[StartDaemon]:
    """A function that starts a daemon with flags; all are ended with the test."""
    daemons: list[Daemon] = []

    def start(*flags: str, state: str = "state", run: str = "", **popen: Any) -> Daemon:
        runtime = short_dir / (run or f"run{len(daemons)}")
        daemon = start_daemon_process(runtime, short_dir / state, *flags, **popen)
        daemons.append(daemon)
        return daemon

    yield start
    for daemon in daemons:
        end_daemon_process(daemon)


@pytest.fixture(scope="module")
def start_module_daemon() -> Iterator[StartDaemon]:
    """A function that starts a daemon for all tests of a file; directories as in `start_daemon`."""
    base = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    daemons: list[Daemon] = []

    def start(*flags: str, **popen: Any) -> Daemon:
        name = len(daemons)
        daemons.append(start_daemon_process(base / f"run{name}", base / f"state{name}", *flags, **popen))
        return daemons[-1]

    yield start
    for daemon in daemons:
        end_daemon_process(daemon)
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """One daemon for all tests that leave it as it was."""
    base = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    running = start_daemon_process(base / "run", base / "state", "--allow-unscreened")
    try:
        assert not running.error, running.error
        yield running
    finally:
        end_daemon_process(running)
        shutil.rmtree(base, ignore_errors=True)
