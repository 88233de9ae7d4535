"""The private daemon: one a process, started when first needed, ended with the process.

It listens in a directory that only this user can enter. Two pipes tie it to us: it writes one line to the
first when it is ready, and it ends when the second reaches its end of file, which the kernel brings about
however this process dies. A forked child neither keeps that pipe open nor stops the daemon: it starts one
of its own.

It gets neither the whole environment (an agent's process holds API keys) nor the terminal's Ctrl-C.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import select
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ClientCode, DaemonStartError, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._channel import Deadline

READY_BYTES = 64 * 1024
LOG_TAIL_BYTES = 2000
END_SECONDS = 5.0
DIRECTORY_CHARACTERS = 40
"""Of the directory's parent: the daemon makes sockets below it, and their paths have 107 bytes at most."""

DAEMON_MODULES = (
    "RestrictedPython",
    "grpc_health",
    "jsonschema",
    "psutil",
    "pydantic",
    "pyseccomp",
    "rich",
    "yaml",
)
"""What the extra `daemon` brings."""

ENVIRONMENT = frozenset(
    {
        "HOME",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "PATH",
        "SHELL",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
    }
)
ENVIRONMENT_PREFIXES = ("LC_", "PYTHON", "SANDBOXD_", "XDG_")


@dataclass(slots=True)
class Daemon:
    """A running private daemon. `lifeline` is the writing end of the pipe that keeps it alive."""

    process: subprocess.Popen[bytes]
    lifeline: int
    directory: Path
    address: str

    def stop(self) -> None:
        """End it and remove its directory, within seconds."""
        os.close(self.lifeline)
        _reap(self.process, END_SECONDS)
        shutil.rmtree(self.directory, ignore_errors=True)


# Mutable state of this module, all of it under `_lock`.
_lock = threading.Lock()
_daemon: Daemon | None = None
_past: set[str] = set()


def start(deadline: Deadline) -> str:
    """Return the address of this process's daemon; start it when there is none.

    Raises:
        DaemonStartError: it is not installed, could not start (its own code and remedy), or took too long.
    """
    global _daemon  # noqa: PLW0603 - one daemon a process
    with _lock:
        if _daemon is not None and _daemon.process.poll() is None:
            return _daemon.address
        if _daemon is not None:
            _past.add(_daemon.address)
            _daemon.stop()
            _daemon = None
        _daemon = _start(deadline)
        return _daemon.address


def ended(address: str) -> bool:
    """Say whether the address was a private daemon's that has ended."""
    with _lock:
        if _daemon is not None and _daemon.address == address:
            return _daemon.process.poll() is not None
        return address in _past


def stop() -> None:
    """End this process's daemon, if there is one. Runs at exit."""
    global _daemon
    with _lock:
        daemon, _daemon = _daemon, None
        if daemon is not None:
            _past.add(daemon.address)
            daemon.stop()


def _forked() -> None:
    """In a forked child: let go of the parent's daemon without touching it."""
    global _daemon, _lock  # noqa: PLW0603 - one daemon a process
    _lock = threading.Lock()  # another thread of the parent may have held it
    daemon, _daemon = _daemon, None
    if daemon is not None:
        # Our copy of the pipe would keep the daemon alive after the parent's death.
        os.close(daemon.lifeline)
        daemon.process.returncode = 0  # not our child: nothing to wait for


os.register_at_fork(after_in_child=_forked)
atexit.register(stop)


def _start(deadline: Deadline) -> Daemon:
    """Start a daemon and wait for its line."""
    _check_installed()
    directory = Path(tempfile.mkdtemp(prefix="sandboxd-", dir=_parent_directory()))
    lifeline_read, lifeline = os.pipe()
    ready, ready_write = os.pipe()
    try:
        process = _spawn(directory, lifeline_read, ready_write)
    except OSError as error:
        os.close(lifeline)
        os.close(ready)
        shutil.rmtree(directory, ignore_errors=True)
        raise DaemonStartError(
            ClientCode.DAEMON_START_FAILED, f"{sys.executable}: {error.strerror}."
        ) from error
    finally:
        os.close(lifeline_read)
        os.close(ready_write)
    daemon = Daemon(process, lifeline, directory, "")
    try:
        daemon.address = _address(_read_line(ready, deadline), daemon)
    except BaseException:
        process.kill()
        daemon.stop()
        raise
    finally:
        os.close(ready)
    return daemon


def _spawn(directory: Path, lifeline: int, ready: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sandboxd", "serve", "--embedded", "--runtime-dir", str(directory)]
    command += ["--lifeline-fd", str(lifeline), "--ready-fd", str(ready)]
    with (directory / "daemon.log").open("wb") as log:
        return subprocess.Popen(
            command,
            pass_fds=(lifeline, ready),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            # `-m` imports from the working directory first: not from one that holds a stranger's files.
            cwd=directory,
            env=_environment(os.environ),
            start_new_session=True,
        )


def _read_line(ready: int, deadline: Deadline) -> bytes:
    """Return what the daemon wrote, up to a newline or its end."""
    line = b""
    while not line.endswith(b"\n") and len(line) < READY_BYTES:
        if not select.select([ready], [], [], deadline.remaining())[0]:
            raise DaemonStartError(
                ClientCode.DAEMON_START_TIMEOUT,
                "The private daemon did not become ready in time.",
                remedy="Raise open_timeout, or run `sandboxd doctor`.",
            )
        piece = os.read(ready, READY_BYTES)
        if not piece:
            break
        line += piece
    return line


def _address(line: bytes, daemon: Daemon) -> str:
    """Return the address from the daemon's line, or raise what it says."""
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, dict):
        raise DaemonStartError(
            str(error.get("code", ClientCode.DAEMON_START_FAILED)),
            str(error.get("message", "The private daemon could not start.")),
            remedy=str(error.get("remedy", "")),
        )
    # Past the daemon's acceptor, which only tells users apart: a private daemon has one.
    address = said.get("own_address") or said.get("address") if isinstance(said, dict) else None
    if not isinstance(address, str):
        raise DaemonStartError(
            ClientCode.DAEMON_START_FAILED,
            f"The private daemon ended before it was ready. Its log ends with: {_log_tail(daemon)}",
            remedy="Run `sandboxd doctor`.",
        )
    return address


def _log_tail(daemon: Daemon) -> str:
    """Return the last lines of the daemon's log, bounded."""
    _reap(daemon.process, 1.0)
    with (daemon.directory / "daemon.log").open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
        return printable(log.read(LOG_TAIL_BYTES).decode("utf-8", "replace")).strip() or "(nothing)"


def _reap(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for the process's end, and bring it about after `seconds`."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _check_installed() -> None:
    """Say what to install, rather than let a child die of an ImportError."""
    missing = [name for name in ("sandboxd", *DAEMON_MODULES) if importlib.util.find_spec(name) is None]
    if missing or not sys.executable:
        raise DaemonStartError(
            ClientCode.DAEMON_NOT_INSTALLED,
            f"There is no daemon to start here: {', '.join(missing) or 'a Python executable'} is missing.",
            remedy="pip install 'sandboxd[daemon]', or name a running daemon with SANDBOXD_ADDRESS.",
        )


def _parent_directory() -> str:
    """Return where the socket's directory goes: the usual place where its name is short enough."""
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) <= DIRECTORY_CHARACTERS:
        return usual
    return "/tmp"  # noqa: S108 - what mkdtemp makes there is ours alone, 0700


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return the daemon's environment: what a program needs, and no keys."""
    kept = {k: v for k, v in ours.items() if k in ENVIRONMENT or k.startswith(ENVIRONMENT_PREFIXES)}
    kept.pop("SANDBOXD_ADDRESS", None)
    path = [*_source_directories(), *filter(None, [kept.get("PYTHONPATH")])]
    if path:
        kept["PYTHONPATH"] = os.pathsep.join(path)
    return kept


def _source_directories() -> list[str]:
    """Return where our packages lie when they are not installed: the daemon must be of the same copy."""
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()}
    directories = []
    for name in ("sandboxd", "sandboxd_proto"):
        spec = importlib.util.find_spec(name)
        for location in (spec and spec.submodule_search_locations) or ():
            parent = str(Path(location).resolve().parent)
            if parent not in installed and parent not in directories:
                directories.append(parent)
    return directories
