"""The broker's executable: `python -m sandboxd.broker --fd N`: a SEQPACKET socket to the front.

When the front goes, in whatever way, its containers go: their streams end with it, and this process removes what is left.
When this process goes, the containers live on: the front holds their streams, and starts another broker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from sandboxd.broker import facts, protocol, spec
from sandboxd.broker.containers import Containers, Started, gone
from sandboxd.broker.http import Engine, EngineError, EngineGoneError
from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import wire
from sandboxd.launcher.channel import Channel
from sandboxd.seccomp.container import engine_profile

LEAVE_SECONDS = 10.0


class Broker:
    """Serves one front. State is touched on the event loop only."""

    def __init__(self, sock: socket.socket) -> None:
        self._finished = asyncio.Event()
        self._channel = Channel(sock, self._on_message, lambda _: self._finished.set())
        self._containers: Containers | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the front is gone or a signal asks to end; then remove everything that this one started."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._finished.set)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the front's business
        await self._finished.wait()
        self._channel.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._containers is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    held = self._containers.held()
                    await asyncio.gather(*map(self._containers.stop, held), return_exceptions=True)

    def _on_message(self, raw: wire.Message, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)  # the front has none to give
        try:
            message = protocol.from_front(raw)
        except wire.WireError:
            self._finished.set()
            return
        if isinstance(message, protocol.Assign):
            if self._containers is not None:
                self._spawn(self._containers.assign(message.container, message.display_id))
        else:
            self._spawn(self._answer(message))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, message: protocol.Hello | protocol.Launch | protocol.Stop | protocol.Reconcile
    ) -> None:
        try:
            await self._carry_out(message)
        except SandboxdError as error:
            self._fail(message.request, error)
        except EngineGoneError as error:
            self._fail(message.request, gone(error))
        except EngineError as error:
            self._fail(
                message.request, SandboxdError(Code.EXECUTOR_UNAVAILABLE, f"The engine refused: {error}")
            )

    def _fail(self, request: int, error: SandboxdError) -> None:
        self._tell(protocol.Failed(request, error.code, error.message, error.remedy))

    def _tell(self, message: protocol.BrokerMessage, fds: tuple[int, ...] = ()) -> None:
        self._channel.send(protocol.encode(message), fds)

    async def _carry_out(
        self, message: protocol.Hello | protocol.Launch | protocol.Stop | protocol.Reconcile
    ) -> None:
        if isinstance(message, protocol.Hello):
            await self._hello(message)
            return
        containers = self._containers
        if containers is None:
            raise SandboxdError(Code.EXECUTOR_UNAVAILABLE, "The broker has not been told of an engine.")
        if isinstance(message, protocol.Launch):
            self._launched(message, await containers.launch(message.image, _shape(message)))
        elif isinstance(message, protocol.Stop):
            oom, code = await containers.stop(message.container)
            self._tell(protocol.Stopped(message.request, oom, code))
        else:
            removed = await containers.reconcile(set(message.keep))
            self._tell(protocol.Reconciled(message.request, removed))

    async def _hello(self, hello: protocol.Hello) -> None:
        if self._containers is not None:
            raise SandboxdError(Code.INVALID_REQUEST, "The broker was greeted before.")
        engine, found = await facts.find(Engine(Path(hello.socket)))
        if not found["seccomp"]:
            raise SandboxdError(
                Code.PROTECTION_MISSING,
                "The engine was built, or runs on a kernel, without seccomp.",
                remedy="Use another engine: containers without a filter are not offered.",
            )
        maker = spec.Maker(hello.owner, hello.instance, hello.guest_dir, engine_profile())
        containers = Containers(engine, maker, Path(hello.images_dir), found["runtimes"])
        self._containers = containers
        self._spawn(containers.watch())
        self._tell(protocol.Ready(hello.request, found, 0))

    def _launched(self, message: protocol.Launch, started: Started) -> None:
        names = list(started.counters)
        reply = protocol.Launched(message.request, started.container, names, dict(started.facts))
        fds = (started.stream.fileno(), *started.counters.values())
        try:
            self._tell(reply, fds)
        finally:
            started.stream.close()
            for fd in started.counters.values():
                os.close(fd)


def _shape(message: protocol.Launch) -> spec.Shape:
    return spec.Shape(
        runtime=message.runtime,
        memory_bytes=message.memory_bytes,
        disk_bytes=message.disk_bytes,
        files=message.files,
        pids=message.pids,
        cpus=message.cpus,
    )


def main() -> int:
    """Run the broker on the descriptor that `--fd` names."""
    parser = argparse.ArgumentParser(
        prog="sandboxd.broker", description="Internal: started by 'sandboxd serve'."
    )
    parser.add_argument("--fd", type=int, required=True)
    number: int = parser.parse_args().fd
    sock = socket.socket(fileno=number)
    sock.set_inheritable(False)
    asyncio.run(_run(sock))
    return 0


async def _run(sock: socket.socket) -> None:
    await Broker(sock).run()
