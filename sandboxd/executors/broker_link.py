"""The front's end of the broker: starts the process, matches replies to requests. It may die and be started again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from dataclasses import dataclass
from typing import TypeVar

from sandboxd.broker import protocol
from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import wire
from sandboxd.launcher.channel import Channel

Reply = TypeVar("Reply", bound=protocol.BrokerMessage)
ASK_SECONDS = 60.0  # above each deadline of the broker's own
STOP_SECONDS = 15.0
_Answer = tuple[protocol.BrokerMessage, list[int]]
_Request = protocol.Hello | protocol.Launch | protocol.Stop | protocol.Reconcile


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a broker is told first: see `protocol.Hello`."""

    owner: str
    instance: str
    socket: str
    images_dir: str
    guest_dir: str


class BrokerLink:
    """One broker process at a time. State is touched on the event loop only.

    Args:
        greeting: told to each.
    """

    def __init__(self, greeting: Greeting) -> None:
        self._greeting = greeting
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._starting: asyncio.Task[protocol.Ready] | None = None

    async def ready(self) -> protocol.Ready:
        """Return what the engine is; starts a broker where none runs, for all who wait, whoever of them gives up.

        Raises:
            SandboxdError: EXECUTOR_UNAVAILABLE, PROTECTION_MISSING; the next call tries again.
        """
        failed = self._starting is not None and self._starting.done() and _failed(self._starting)
        if self._starting is None or failed or (self._starting.done() and self._channel is None):
            self._starting = asyncio.get_running_loop().create_task(self._start())
        return await asyncio.shield(self._starting)

    async def _start(self) -> protocol.Ready:
        await self._stop_process()
        ours, theirs = wire.pair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sandboxd.broker", "--fd", str(theirs.fileno()),
                pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._channel = Channel(ours, self._on_message, self._on_end)
        told = self._greeting
        hello = protocol.Hello(
            next(self._numbers), told.owner, told.instance, told.socket, told.images_dir, told.guest_dir
        )
        try:
            ready, _ = await self._ask(hello, protocol.Ready)
        except BaseException:
            await self._stop_process()
            raise
        return ready

    async def launch(self, order: dict[str, object]) -> tuple[protocol.Launched, list[int]]:
        """Start a container; the descriptors are the caller's. `order` holds the fields of `protocol.Launch`.

        Raises:
            SandboxdError: what the broker refused with.
        """
        await self.ready()
        request = protocol.Launch(next(self._numbers), **order)  # type: ignore[arg-type]
        return await self._ask(request, protocol.Launched)

    async def stop(self, container: str) -> tuple[bool, int]:
        """Kill and remove a container; see `protocol.Stopped`. A broker that dies meanwhile is replaced once."""
        for last in (False, True):
            await self.ready()
            try:
                stopped, _ = await self._ask(protocol.Stop(next(self._numbers), container), protocol.Stopped)
            except SandboxdError:
                if last or self._channel is not None:
                    raise
            else:
                return stopped.oom, stopped.exit_code
        raise AssertionError

    def assign(self, container: str, display_id: str) -> None:
        """Name a container after its session."""
        if self._channel is not None:
            self._channel.send(protocol.encode(protocol.Assign(container, display_id)))

    async def reconcile(self, keep: list[str]) -> int:
        """Remove what is ours and not kept; return how many."""
        await self.ready()
        reply, _ = await self._ask(protocol.Reconcile(next(self._numbers), keep), protocol.Reconciled)
        return reply.removed

    async def _ask(self, message: _Request, kind: type[Reply]) -> tuple[Reply, list[int]]:
        if self._channel is None:
            raise _gone("not running")
        waiting: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting[message.request] = waiting
        self._channel.send(protocol.encode(message))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                reply, fds = await waiting
        except TimeoutError:
            raise _gone(f"no answer in {ASK_SECONDS:g} s") from None
        finally:
            self._waiting.pop(message.request, None)
        if isinstance(reply, protocol.Failed):
            raise SandboxdError(Code(reply.code), reply.message, remedy=reply.remedy)
        if not isinstance(reply, kind):
            _close_all(fds)
            raise SandboxdError(Code.INTERNAL, f"The broker answered {message.op} with {reply.op}.")
        return reply, fds

    def _on_message(self, raw: wire.Message, fds: list[int]) -> None:
        try:
            message = protocol.from_broker(raw)
        except wire.WireError:
            _close_all(fds)
            self._on_end("it sent what is no message")
            return
        waiting = self._waiting.pop(message.request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result((message, fds))
            return
        _close_all(fds)  # its caller gave up: a container whose stream closes ends by itself
        if isinstance(message, protocol.Launched) and self._channel is not None:
            stop = protocol.Stop(next(self._numbers), message.container)
            self._channel.send(protocol.encode(stop))

    def _on_end(self, reason: str) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_gone(reason))
        self._waiting.clear()

    async def close(self) -> None:
        """End the broker: closing the socket makes it remove what it started, and exit."""
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self._stop_process()

    async def _stop_process(self) -> None:
        self._on_end("stopped")
        process, self._process = self._process, None
        if process is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _failed(task: asyncio.Task[protocol.Ready]) -> bool:
    return task.cancelled() or task.exception() is not None


def _gone(reason: str) -> SandboxdError:
    return SandboxdError(
        Code.EXECUTOR_UNAVAILABLE,
        f"The container broker is gone ({reason}).",
        remedy="Open the session again; another broker is started. See the daemon's log.",
    )


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
