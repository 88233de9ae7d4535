"""The launcher's executable: `python -m sandboxd.launcher --fd N --will-fd M`: a SEQPACKET socket and the front's `Will`."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
import os
import signal
import socket
import struct
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from sandboxd.environments import Environment, load_environment
from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import kernel, wire
from sandboxd.launcher import fork_messages, protections, protocol
from sandboxd.launcher.box import Box
from sandboxd.launcher.cgroups import household
from sandboxd.launcher.channel import Channel
from sandboxd.launcher.ends import close_all
from sandboxd.launcher.forks import answer_fork
from sandboxd.launcher.host import Host
from sandboxd.launcher.pool import Pool, PoolBounds
from sandboxd.launcher.turnover import Term, Zygotes
from sandboxd.launcher.undertaker import Undertaker
from sandboxd.seccomp import build_filters


class Launcher:
    """Serves one front. State is touched on the event loop only."""

    def __init__(self, sock: socket.socket, undertaker: Undertaker) -> None:
        self._undertaker = undertaker
        # Who made the socket. Not the parent: of a front that is dead already this process would be somebody else's child.
        self._front = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self._finished = asyncio.Event()
        self._channel = Channel(sock, self._on_message, lambda _: self._finished.set())
        self._numbers = itertools.count(1)
        self._boxes: dict[int, Box] = {}  # by the number of each of its members
        self._host: Host | None = None
        self._zygotes: Zygotes | None = None
        self._pool: Pool | None = None
        self._environments_dir = Path()
        self._early: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the front is gone or a signal asks to end; then remove everything."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._finished.set)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the front's business
        await self._finished.wait()
        await self._close()

    async def _close(self) -> None:
        self._channel.close()
        for task in self._early:
            task.cancel()
        if self._early:
            await asyncio.wait(self._early)
        if self._host is not None:
            await self._host.stop_tasks()
        if self._pool is not None:
            await self._pool.close()
        if self._zygotes is not None:
            self._zygotes.close()
        await asyncio.gather(*(box.close() for box in self._boxes.values()), return_exceptions=True)
        if self._host is not None:
            await self._host.finished()
            self._host.close()
        self._undertaker.release()

    def _notify(self, message: protocol.LauncherMessage, fds: tuple[int, ...] = ()) -> None:
        self._channel.send(protocol.encode(message), fds)
        if isinstance(message, protocol.BoxLost) and (box := self._boxes.pop(message.box, None)) is not None:
            assert self._host is not None
            self._host.spawn(box.close())

    # ---- dispatch -------------------------------------------------------------------------------------------

    def _on_message(self, raw: wire.Message, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)  # the front has none to give
        message = protocol.decode(raw)
        if isinstance(message, protocol.Hello):
            task = asyncio.get_running_loop().create_task(self._answer(message.request, self._hello(message)))
            self._early.add(task)
            task.add_done_callback(self._early.discard)
        elif isinstance(message, protocol.Open):
            self._spawn(message.request, self._open(message))
        elif isinstance(message, protocol.Close):
            self._spawn(message.request, self._close_box(message))
        elif isinstance(
            message, fork_messages.Fork | fork_messages.Keep | fork_messages.RollBack | fork_messages.Drop
        ):
            self._spawn(message.request, self._fork(message))
        elif isinstance(message, protocol.Count):
            pools = self._pool.stats() if self._pool is not None else []
            self._notify(protocol.Counted(message.request, [dataclasses.asdict(one) for one in pools]))
        else:
            self._on_box_message(message)

    def _on_box_message(self, message: protocol.FrontMessage | protocol.LauncherMessage) -> None:
        number: int = getattr(message, "box", 0)
        box = self._boxes.get(number)
        member = box.member(number) if box is not None else None
        if isinstance(message, protocol.Begin) and member is not None:
            member.begin(message)
        elif isinstance(message, (protocol.Pause, protocol.Resume)):
            if member is not None:
                member.stand(message.execution, still=isinstance(message, protocol.Pause))
        elif isinstance(message, protocol.Interrupt) and member is not None:
            member.interrupt(message.execution, message.cause, message.code)
        elif isinstance(message, protocol.End):
            if member is not None:
                member.end(message.execution)
            if message.request:
                self._notify(protocol.Stopped(message.request))
        elif isinstance(message, protocol.File):
            if box is not None:
                box.file(message)
            else:
                self._notify(protocol.FileDone(message.request, "ESTALE"))

    def _spawn(self, request: int, work: Coroutine[Any, Any, None]) -> None:
        assert self._host is not None
        self._host.spawn(self._answer(request, work))

    async def _answer(self, request: int, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except SandboxdError as error:
            self._notify(protocol.Failed(request, error.code, error.message, error.remedy))
        except (OSError, TimeoutError) as error:
            text = f"{type(error).__name__}: {error}"
            self._notify(protocol.Failed(request, Code.JAIL_FAILED, text, "Run 'sandboxd doctor'."))

    # ---- requests -------------------------------------------------------------------------------------------

    async def _hello(self, hello: protocol.Hello) -> None:
        if not kernel.supported_machine():
            raise SandboxdError(Code.EXECUTOR_UNAVAILABLE, f"The jail does not know {kernel.MACHINE}.")
        own = household(self._front) | {os.getpid(), self._undertaker.pid}
        self._host = Host(hello.instance, hello.memory_total_bytes, own, self._undertaker.remember)
        # Without it a kill would leave cgroups and sockets: end in order while that is possible.
        self._host.reaper.watch(self._undertaker.pid, lambda _: self._finished.set())
        term = Term(hello.zygote_boxes, hello.zygote_seconds)
        self._zygotes = Zygotes(build_filters(), self._host.reaper, term, self._on_turn)
        bounds = PoolBounds(hello.pool_size, hello.pool_max, hello.pool_fresh, hello.memory_total_bytes)
        self._pool = Pool(self._host, bounds, self._make, self._zygotes.line)
        self._environments_dir = Path(hello.environments_dir)
        for name in dict.fromkeys(["base", *hello.prepare]):
            self._zygotes.get(load_environment(self._environments_dir, name))
        await self._prove()
        reasons = {f"cgroup_{name}": reason for name, reason in self._host.cgroup_reasons.items()}
        self._notify(protocol.Ready(hello.request, reasons))

    async def _prove(self) -> None:
        """Build one box: a host that cannot carry the jail is found at the start, not at the first request."""
        assert self._pool is not None
        environment = load_environment(self._environments_dir, "base")
        box = self._make(environment, fresh=False)
        try:
            await box.build()
        finally:
            await box.close()
        self._pool.stock(environment)

    def _make(self, environment: Environment, fresh: bool) -> Box:
        assert self._zygotes is not None
        assert self._host is not None
        zygote = self._zygotes.single(environment) if fresh else self._zygotes.get(environment)
        return Box(next(self._numbers), zygote, self._host, self._notify)

    def _on_turn(self) -> None:
        if self._pool is not None:
            self._pool.wake()

    async def _open(self, message: protocol.Open) -> None:
        assert self._pool is not None
        assert self._host is not None
        environment = load_environment(self._environments_dir, message.environment)
        box, pooled = await self._pool.take(environment, message.limits, fresh=message.fresh)
        try:
            fds = await box.check_out(message.limits)
            try:
                total = message.limits.get("memory_enforce") == "total"
                protections.check_required(box.protections, message.require, memory_total=total)
                self._boxes[box.number] = box
                opened = protocol.Opened(
                    message.request, box.number, box.python, [list(row) for row in box.protections], pooled,
                    box.first.meter.guest_pid, list(box.counters),
                )  # fmt: skip
                self._notify(opened, (*fds, *box.counters.values()))
            finally:
                for fd in fds:
                    os.close(fd)
        except BaseException:
            self._boxes.pop(box.number, None)
            await box.close()
            raise
        finally:
            self._pool.done(fresh=message.fresh)

    async def _close_box(self, message: protocol.Close) -> None:
        box = self._boxes.pop(message.box, None)
        if box is not None:
            await box.leave(message.box)
        self._notify(protocol.Closed(message.request))

    async def _fork(self, message: fork_messages.ForkRequest) -> None:
        box = self._boxes.get(message.box)
        if box is None or not box.healthy:
            raise SandboxdError(Code.SESSION_LOST, "The session is gone.", remedy="Open a new one.")
        number = next(self._numbers)
        reply, fds = await answer_fork(box, message, number)
        if isinstance(reply, fork_messages.Forked):
            self._boxes[number] = box
        self._notify(reply, fds)
        close_all(fds)


def main() -> int:
    """Run the launcher on the descriptors that `--fd` and `--will-fd` name."""
    parser = argparse.ArgumentParser(
        prog="sandboxd.launcher", description="Internal: started by 'sandboxd serve'."
    )
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--will-fd", type=int, required=True)
    arguments = parser.parse_args()
    number: int = arguments.fd
    undertaker = Undertaker(
        arguments.will_fd
    )  # before the loop, the sockets and everything else it must not hold
    sock = socket.socket(fileno=number)
    sock.set_inheritable(False)
    asyncio.run(_run(sock, undertaker))
    return 0


async def _run(sock: socket.socket, undertaker: Undertaker) -> None:
    await Launcher(sock, undertaker).run()
