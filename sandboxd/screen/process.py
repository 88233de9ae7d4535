"""One screener process, seen from the daemon: start it, ask it, kill it.

It holds no secrets and needs none: empty environment, three pipes, its own limits. What it answers is a claim by a process
that read hostile text, so every answer is bounded and checked for its form.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from pathlib import Path
from typing import Any

_BOOTSTRAP = (
    "import sys; sys.path.append(sys.argv[1]); from engine.worker import main; sys.argv.pop(1); main()"
)
_FOLDER = str(Path(__file__).parent)
_LENGTH = struct.Struct(">I")
_MAX_ANSWER_BYTES = 512 * 1024
_CPU_SECONDS = 2


class ScreenProcessError(Exception):
    """The process died, was too slow, or sent what is no answer."""


class ScreenProcess:
    """A running screener. One question at a time; after any error only `kill` is left."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._known: set[str] = set()
        self.python_version = ""
        self.checks = 0

    @classmethod
    async def start(cls, python: str, *, memory_bytes: int, wall_seconds: float) -> ScreenProcess:
        """Start a process and wait until it has put itself under its limits.

        Raises:
            ScreenProcessError: it did not come up.
        """
        arguments = (
            "-I",
            "-S",
            "-B",
            "-c",
            _BOOTSTRAP,
            _FOLDER,
            "engine",
            str(memory_bytes),
            str(_CPU_SECONDS),
        )
        try:
            process = await asyncio.create_subprocess_exec(
                python,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,  # a terminal's signals are for the daemon
            )
        except OSError as error:
            raise ScreenProcessError(f"{python} cannot be started: {error.strerror}") from None
        self = cls(process)
        try:
            hello = await self._within(wall_seconds, self._receive())
        except BaseException:
            await self.kill()
            raise
        self.python_version = str(hello.get("python", ""))[:20]
        return self

    @property
    def alive(self) -> bool:
        """Whether the process has not ended, as far as the event loop knows."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process id, for tests and for the log."""
        return self._process.pid

    async def ask(self, code: str, digest: str, rules: dict[str, Any], wall_seconds: float) -> dict[str, Any]:
        """Have one source checked.

        Raises:
            ScreenProcessError: no answer; the process is of no further use.
        """
        self.checks += 1
        question: dict[str, Any] = {"code": code, "digest": digest}
        if digest not in self._known:
            question["rules"] = rules
            self._known.add(digest)
        return await self._within(wall_seconds, self._exchange(question))

    async def kill(self) -> None:
        """End the process and wait for it. Idempotent."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        # Reading to the end lets the pipes' transports close before the loop does.
        with contextlib.suppress(OSError):
            await self._process.communicate()

    async def _exchange(self, question: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(question, separators=(",", ":")).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(_LENGTH.pack(len(body)) + body)
        await self._process.stdin.drain()
        return await self._receive()

    async def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        (size,) = _LENGTH.unpack(await self._process.stdout.readexactly(_LENGTH.size))
        if size > _MAX_ANSWER_BYTES:
            raise ScreenProcessError("the answer is too large")
        answer = json.loads(await self._process.stdout.readexactly(size))
        if not isinstance(answer, dict):
            raise ScreenProcessError("the answer has another form")
        return answer

    @staticmethod
    async def _within(seconds: float, work: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                answer: dict[str, Any] = await work
                return answer
        except TimeoutError:
            raise ScreenProcessError(f"no answer within {seconds:g} s") from None
        except (OSError, EOFError, ValueError, RecursionError) as error:
            raise ScreenProcessError(f"no answer: {type(error).__name__}") from None
