"""The front's end of the launcher: starts the process, matches replies to requests, passes notices on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from sandboxd.errors import Code, SandboxdError, StartError
from sandboxd.jail import wire
from sandboxd.launcher import fork_messages, protocol
from sandboxd.launcher.channel import Channel
from sandboxd.launcher.undertaker import Will

Reply = TypeVar("Reply", bound=protocol.LauncherMessage)
Answer = tuple[protocol.LauncherMessage, list[int]]
Notice = Callable[[protocol.LauncherMessage, list[int]], None]

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class Link:
    """A running launcher. State is touched on the event loop only.

    Args:
        on_notice: takes what the launcher says unasked; it owns the descriptors.
        on_lost: called once when the launcher is gone without having been stopped.
        make_will: says what is to go when this process is gone.
    """

    def __init__(
        self, on_notice: Notice, on_lost: Callable[[str], None], make_will: Callable[[], Will]
    ) -> None:
        self._make_will = make_will
        self._will: Will | None = None
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[asyncio.Future[Answer], Notice]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None

    async def start(self) -> None:
        """Start the launcher process (exec: this process serves gRPC and never forks)."""
        ours, theirs = wire.pair()
        self._will = self._make_will()
        with theirs, self._will.reader() as will:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sandboxd.launcher",
                "--fd", str(theirs.fileno()), "--will-fd", str(will),
                pass_fds=[theirs.fileno(), will], stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._channel = Channel(ours, self._on_message, self._on_end)

    def number(self) -> int:
        """Return a fresh request number."""
        return next(self._numbers)

    def tell(self, message: protocol.FrontMessage) -> None:
        """Send a message that has no reply."""
        if self._channel is not None:
            self._channel.send(protocol.encode(message))

    def hear(self) -> None:
        """Take what the launcher has said by now, without waiting for the loop's turn."""
        if self._channel is not None:
            self._channel.hear()

    async def ask(
        self,
        message: protocol.Hello
        | protocol.Open
        | protocol.End
        | protocol.File
        | protocol.Close
        | protocol.Count
        | fork_messages.ForkRequest,
        kind: type[Reply],
        arrived: Callable[[Reply, list[int]], None] | None = None,
    ) -> tuple[Reply, list[int]]:
        """Send a request and return its reply with the descriptors, which the caller owns.

        Args:
            message: the request.
            kind: what its reply is.
            arrived: takes the reply, and the descriptors, before the next message is looked at: the launcher may have
                said at once what became of a box that it has just opened. It gets no reply that came too late.

        Raises:
            SandboxdError: what the launcher refused with; EXECUTOR_UNAVAILABLE when it is gone.
        """
        if self._channel is None:
            raise _gone("not running")
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def answer(reply: protocol.LauncherMessage, fds: list[int]) -> None:
            if arrived is not None and isinstance(reply, kind):
                arrived(reply, fds)
            waiting.set_result((reply, fds))

        self._waiting[message.request] = waiting, answer
        self._channel.send(protocol.encode(message))
        try:
            reply, fds = await waiting
        except asyncio.CancelledError:
            came = waiting.done() and not waiting.cancelled() and waiting.exception() is None
            if came and arrived is None:
                self._drop(*waiting.result())  # in the same turn as the caller gave up
            raise
        finally:
            self._waiting.pop(message.request, None)
        if isinstance(reply, protocol.Failed):
            raise SandboxdError(Code(reply.code), reply.message, remedy=reply.remedy)
        if not isinstance(reply, kind):
            _close_all(fds)
            raise SandboxdError(Code.INTERNAL, f"The launcher answered {message.op} with {reply.op}.")
        return reply, fds

    def _on_message(self, raw: wire.Message, fds: list[int]) -> None:
        message = protocol.decode(raw)
        assert isinstance(message, protocol.LauncherMessage)
        waiting, answer = self._waiting.pop(getattr(message, "request", 0), (None, None))
        if waiting is not None and answer is not None and not waiting.done():
            answer(message, fds)
        elif hasattr(message, "request"):
            self._drop(message, fds)  # its caller gave up
        else:
            self._on_notice(message, fds)

    def _drop(self, reply: protocol.LauncherMessage, fds: list[int]) -> None:
        """Let go of a reply that nobody waits for; a box that nobody has is closed, or it would have no owner."""
        _close_all(fds)
        if isinstance(reply, protocol.Opened | fork_messages.Forked):
            self.tell(protocol.Close(self.number(), reply.box))
        elif isinstance(reply, fork_messages.Kept):
            self.tell(fork_messages.Drop(self.number(), reply.box, reply.checkpoint))

    def _on_end(self, reason: str) -> None:
        self._channel = None
        for waiting, _ in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_gone(reason))
        self._waiting.clear()
        self._on_lost(reason)

    def dismiss(self) -> None:
        """Let the undertaker of a launcher that is gone go too: another one is there. Idempotent."""
        if self._will is not None:
            self._will.dismiss()

    async def stop(self) -> None:
        """End the launcher: closing the socket makes it remove everything and exit."""
        self.dismiss()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        for waiting, _ in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_gone("stopped"))
        if self._process is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()  # the boxes' leases and its undertaker do the rest
            await self._process.wait()


def _gone(reason: str) -> SandboxdError:
    return SandboxdError(
        Code.EXECUTOR_UNAVAILABLE,
        f"The launcher is gone ({reason}).",
        remedy="Restart the daemon; see its log.",
    )


def as_start_error(error: SandboxdError | TimeoutError) -> StartError:
    """Return the error as one that keeps the daemon from starting."""
    if isinstance(error, TimeoutError):
        return StartError(
            Code.EXECUTOR_UNAVAILABLE,
            f"The launcher was not ready within {START_SECONDS:g} s.",
            remedy="Is the machine overloaded? The daemon's log has more.",
        )
    return StartError(error.code, error.message, remedy=error.remedy)


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
