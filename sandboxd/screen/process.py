"""One screener process, seen from the daemon: start it, ask it, kill it.

It holds no secrets and needs none: empty environment, one socket, and it locks itself in (`sandboxd.screen.confined`)
before it is asked anything. What it answers is a claim.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import json
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandboxd.policy import ScreenRules
from sandboxd.screen.link import Link, LinkError

if TYPE_CHECKING:
    from sandboxd.screen.tools import Signatures

_BOOT = str(Path(__file__).with_name("boot.py"))
_FOLDER = str(Path(__file__).resolve().parents[2])
_CPU_SECONDS = 2
_START_SECONDS = 20.0


class ScreenProcessError(Exception):
    """The process did not start, died, was too slow, or sent what is no answer."""


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What every screener process of a daemon is started with.

    Attributes:
        memory_bytes: its address space.
        wall_seconds: what one check may take.
        filter_program: its seccomp filter, compiled BPF.
    """

    memory_bytes: int
    wall_seconds: float
    filter_program: bytes

    def as_argument(self) -> str:
        """Return the form that the worker reads."""
        form = {
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": _CPU_SECONDS,
            "filter": base64.b64encode(self.filter_program).decode(),
        }
        return json.dumps(form)


class ScreenProcess:
    """A running screener. One question at a time; after any error only `kill` is left."""

    def __init__(self, process: asyncio.subprocess.Process, link: Link, settings: ProcessSettings) -> None:
        self._process = process
        self._pidfd = _handle_of(process.pid)
        self._link = link
        self._settings = settings
        self._known: set[str] = set()
        self.python_version = ""
        self.missing: dict[str, str] = {}
        self.checks = 0

    @classmethod
    async def start(cls, python: str, settings: ProcessSettings) -> ScreenProcess:
        """Start a process and wait until it has locked itself in.

        Raises:
            ScreenProcessError: it did not come up, or cannot be locked in.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await _spawn(python, theirs, settings)
            except BaseException as error:
                ours.close()
                if isinstance(error, OSError):
                    raise ScreenProcessError(f"{python} cannot be started: {error.strerror}") from None
                raise
        self = cls(process, Link(ours), settings)
        try:
            hello, _ = await self._link.receive(_START_SECONDS)
        except BaseException as error:
            await self.kill()
            if isinstance(error, LinkError):
                raise ScreenProcessError(str(error)) from None
            raise
        if "failed" in hello:
            await self.kill()
            raise ScreenProcessError(f"it cannot be locked in: {str(hello['failed'])[:200]}")
        self.python_version = str(hello.get("python", ""))[:20]
        missing = hello.get("missing")
        self.missing = {str(k): str(v) for k, v in missing.items()} if isinstance(missing, dict) else {}
        return self

    @property
    def alive(self) -> bool:
        """Whether the process can be asked, as far as the event loop knows."""
        return self._process.returncode is None and not self._link.broken

    @property
    def pid(self) -> int:
        """The process id, for tests and for the log."""
        return self._process.pid

    async def ask(
        self,
        code: str,
        digest: str,
        rules: ScreenRules,
        *,
        compiled: bool,
        signatures: Signatures | None = None,
    ) -> tuple[dict[str, Any], bytes]:
        """Have one source checked; return the answer and the restricted program, if there is one.

        Raises:
            ScreenProcessError: no answer; the process is of no further use.
        """
        self.checks += 1
        question: dict[str, Any] = {"digest": digest, "compiled": compiled}
        if digest not in self._known:
            question["rules"] = rules.as_json()
            self._known.add(digest)
        if signatures is not None:  # not kept there: tenants are many, and each has tools of its own
            question |= signatures.question()
        try:
            return await self._link.ask(question, code.encode(), self._settings.wall_seconds)
        except LinkError as error:
            raise ScreenProcessError(str(error)) from None

    async def kill(self) -> None:
        """End the process and wait for it. Idempotent."""
        self._link.close()
        if self._pidfd >= 0:
            # Not `self._process.kill()`: it waits for a process that ended, and the event loop's own wait then finds none.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
            self._pidfd = -1
        await self._process.wait()


async def _spawn(python: str, theirs: socket.socket, settings: ProcessSettings) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        python,
        "-I",
        "-S",
        "-B",
        _BOOT,
        _FOLDER,
        _restricted_python(),
        settings.as_argument(),
        stdin=theirs.fileno(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,  # a terminal's signals are for the daemon
    )


def _handle_of(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1  # it ended at once: there is nothing to kill


def _restricted_python() -> str:
    """Return the folder that holds the daemon's own RestrictedPython, "" where it is not installed."""
    spec = importlib.util.find_spec("RestrictedPython")
    return str(Path(spec.origin).parents[1]) if spec is not None and spec.origin else ""
