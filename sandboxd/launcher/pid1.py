"""The launcher's end of a box's pid 1: steps that it is told and answers, and what it says unasked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import wire
from sandboxd.launcher.channel import Channel

STEP_SECONDS = 10.0

Answer = tuple[wire.Message, list[int]]


class Pid1:
    """One pid 1. State is touched on the event loop only.

    Args:
        sock: the socket whose end is the box's lease; owned from now on.
        on_answer: told of an answer at once; who waits for it hears of it in a later turn of the loop.
        on_message: takes what no step waits for, and owns its descriptors.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_answer: Callable[[wire.Message], None],
        on_message: Callable[[wire.Message, list[int]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_answer = on_answer
        self._on_message = on_message
        self._steps: dict[str, asyncio.Future[Answer]] = {}
        self._ended: SandboxdError | None = None
        self._channel = Channel(sock, self._hear, self.silent)

    def tell(self, message: wire.Message, fds: tuple[int, ...] = ()) -> None:
        """Send a message."""
        self._channel.send(message, fds)

    def expect(self, answer: str) -> asyncio.Future[Answer]:
        """Wait for an answer, with `in_time`, to what was sent or will be: an operation, or "operation:member"."""
        waiting: asyncio.Future[Answer] = self._loop.create_future()
        if self._ended is not None:
            waiting.set_exception(
                self._ended
            )  # who asks now would wait for its deadline, and hold what it sent along
            return waiting
        self._steps[answer] = waiting
        return waiting

    async def step(self, answer: str, message: wire.Message, fds: tuple[int, ...] = ()) -> Answer:
        """Send a message and return its answer.

        Raises:
            SandboxdError: JAIL_FAILED, and what `fail` gives.
        """
        waiting = self.expect(answer)
        self.tell(message, fds)
        return await self.in_time(waiting, message["op"])

    @staticmethod
    async def in_time(waiting: asyncio.Future[Answer], step: str) -> Answer:
        """Return the answer of a step, within seconds.

        Raises:
            SandboxdError: JAIL_FAILED, and what `fail` gives.
        """
        try:
            async with asyncio.timeout(STEP_SECONDS):
                return await waiting
        except TimeoutError:
            raise SandboxdError(Code.JAIL_FAILED, f"pid 1 did not answer {step!r} in time.") from None

    def _hear(self, message: wire.Message, fds: list[int]) -> None:
        key = f"{message['op']}:{message['member']}" if "member" in message else message["op"]
        waiting = self._steps.pop(key, None)
        if waiting is None or waiting.done():
            self._on_message(message, fds)
        else:
            self._on_answer(message)
            waiting.set_result((message, fds))

    def silent(self, reason: str) -> None:
        """Fail what waits: pid 1 says nothing more."""
        self._ended = SandboxdError(Code.JAIL_FAILED, f"pid 1 ended ({reason}).")
        self.fail(self._ended)

    def fail(self, error: SandboxdError) -> None:
        """Fail the steps that wait."""
        for waiting in self._steps.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._steps.clear()

    def close(self) -> None:
        """Close the socket: the lease ends."""
        self._channel.close()
