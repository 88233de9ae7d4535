"""Fixtures of all tests: the real daemon in a process of its own, and `--require` for facilities.

A test marked `userns` or `root` is skipped where the facility is missing; with `--require=userns,root` (CI) it fails.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import engine
import pytest
from daemons import Daemon, StartDaemon, end_daemon_process, start_daemon_process

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
    "docker": engine.available,
}
_found: dict[str, bool] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        default="",
        metavar="NAMES",
        help=f"facilities whose absence fails instead of skipping: {','.join(FACILITIES)}",
    )
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing")
    parser.addoption(
        "--full-matrix", action="store_true", help="every attack against every control that is off"
    )


def pytest_configure(config: pytest.Config) -> None:
    unknown = _required(config) - FACILITIES.keys()
    if unknown:
        raise pytest.UsageError(f"--require: unknown facility {sorted(unknown)}; known: {sorted(FACILITIES)}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("hardens") is not None)


@pytest.fixture(autouse=True)
def _library_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """See that no test hardens the library under those that come after it."""
    yield
    hardened = copy._reconstruct.__module__ != copy.__name__  # type: ignore[attr-defined]
    assert not hardened or request.node.get_closest_marker("hardens"), "mark this test's file `hardens`"


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
