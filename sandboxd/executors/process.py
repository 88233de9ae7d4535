"""The native jail as an executor: boxes opened by the launcher, driven from here."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandboxd.environments import load_environment
from sandboxd.errors import SandboxdError
from sandboxd.events import PoolStats, Protection
from sandboxd.executors.base import BoxSpec, EnvironmentInfo
from sandboxd.executors.forks import Home
from sandboxd.executors.link import START_SECONDS, Link, as_start_error
from sandboxd.executors.process_box import ProcessBox
from sandboxd.launcher import fork_messages, protocol
from sandboxd.launcher.undertaker import Will


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What the process tier needs to know.

    Attributes:
        environments_dir: where `sandboxd env create` puts environments.
        pool_size: waiting boxes an environment, at least.
        pool_max: at most, when many are asked for.
        pool_fresh: at most, of those that are started from exec.
        zygote_boxes: boxes after which an environment's interpreter is replaced.
        zygote_seconds: seconds after which it is.
        memory_total_bytes: a ceiling for all boxes together, where there is a memory cgroup.
        prepare: environments whose interpreter starts with the daemon.
        ephemeral_dir: removed when the daemon is gone, even by kill -9 (embedded mode).
        sockets: the same for named sockets, each with the private directory whose lock its owner holds.
    """

    environments_dir: Path
    pool_size: int = 2
    pool_max: int = 8
    pool_fresh: int = 1
    zygote_boxes: int = 1000
    zygote_seconds: float = 3600.0
    memory_total_bytes: int | None = None
    prepare: tuple[str, ...] = ()
    ephemeral_dir: Path | None = None
    sockets: tuple[tuple[Path, Path], ...] = ()


class ProcessExecutor:
    """The process tier. Boxes are known by the launcher's numbers. State is touched on the event loop only."""

    name = "process"

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._boxes: dict[int, ProcessBox] = {}
        self._link = self._new_link()
        self._launcher_gone = False
        self.instance = ""
        self._reviving: asyncio.Task[None] | None = None
        self.on_gone: Callable[[str], None] = lambda _: None
        """Called when the launcher died; where there is no ephemeral directory the next `open` starts another."""
        self.host: dict[str, str] = {}

    def _new_link(self) -> Link:
        return Link(self._on_notice, self._on_lost, self._make_will)

    def _make_will(self) -> Will:
        return Will(self._settings.ephemeral_dir, self._settings.sockets)

    async def start(self) -> None:
        """Start the launcher and have it prove that the jail works here.

        Raises:
            StartError: what is missing, and the remedy.
        """
        settings = self._settings
        await self._link.start()
        self._launcher_gone = False
        self.instance = secrets.token_hex(4)  # a new one: the last launcher's undertaker may still be at work
        hello = protocol.Hello(
            request=self._link.number(),
            instance=self.instance,
            environments_dir=str(settings.environments_dir),
            prepare=list(settings.prepare),
            pool_size=settings.pool_size,
            pool_max=settings.pool_max,
            pool_fresh=settings.pool_fresh,
            zygote_boxes=settings.zygote_boxes,
            zygote_seconds=settings.zygote_seconds,
            memory_total_bytes=settings.memory_total_bytes,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                ready, _ = await self._link.ask(hello, protocol.Ready)
        except (SandboxdError, TimeoutError) as error:
            await self._link.stop()
            raise as_start_error(error) from None
        self.host = ready.host

    async def open(self, spec: BoxSpec) -> ProcessBox:
        """Open a box; see `Executor.open`."""
        await self._revive()
        limits = dataclasses.asdict(spec.limits)
        request = protocol.Open(
            self._link.number(), spec.display_id, spec.environment, limits, list(spec.require), spec.fresh
        )
        link = self._link
        made: list[ProcessBox] = []

        def arrived(opened: protocol.Opened, fds: list[int]) -> None:
            counters = dict(zip(opened.counters, fds[3:], strict=True))
            protections = tuple(Protection(*row) for row in opened.protections)
            home = Home(link, spec.limits, protections, opened.python, opened.pooled, counters, self._make)
            made.append(self._make(home, opened, fds[:3]))

        try:
            await link.ask(request, protocol.Opened, arrived)
        except asyncio.CancelledError:
            for box in made:
                box.abandon()  # it came in the same turn as the caller gave up
            raise
        return made[0]

    def _make(self, home: Home, born: protocol.Opened | fork_messages.Forked, fds: list[int]) -> ProcessBox:
        box = self._boxes[born.box] = ProcessBox(home, born, fds)
        box.on_closed = lambda: self._forget(born.box, box)
        return box

    def _forget(self, number: int, box: ProcessBox) -> None:
        if self._boxes.get(number) is box:  # another launcher counts from 1 again
            del self._boxes[number]

    async def _revive(self) -> None:
        """Start another launcher after the death of the last one, for all who wait, whoever of them gives up."""
        # Its undertaker takes an ephemeral directory away, sockets and all: such a daemon ends (`on_gone`).
        if self._launcher_gone and self._reviving is None and self._settings.ephemeral_dir is None:
            self._reviving = asyncio.get_running_loop().create_task(self._start_another())
            self._reviving.add_done_callback(self._revived)
        if self._reviving is not None:
            await asyncio.shield(self._reviving)

    async def _start_another(self) -> None:
        last, self._link = self._link, self._new_link()
        try:
            await self.start()
        except BaseException:
            await self._link.stop()
            self._link, self._launcher_gone = last, True  # the next `open` tries again
            raise
        last.dismiss()

    def _revived(self, task: asyncio.Task[None]) -> None:
        self._reviving = None
        if not task.cancelled():
            task.exception()  # read here: nobody may be waiting for it any more

    def environment(self, name: str) -> EnvironmentInfo:
        """See `Executor.environment`."""
        found = load_environment(self._settings.environments_dir, name)
        return EnvironmentInfo(found.name, found.version, found.packages)

    async def pools(self) -> tuple[PoolStats, ...]:
        """See `Executor.pools`."""
        counted, _ = await self._link.ask(protocol.Count(self._link.number()), protocol.Counted)
        return tuple(PoolStats(**raw) for raw in counted.pools)

    def _on_notice(self, message: protocol.LauncherMessage, fds: list[int]) -> None:
        box = self._boxes.get(getattr(message, "box", 0))
        if box is None:
            for fd in fds:
                os.close(fd)
        elif isinstance(message, protocol.GuestDied):
            box.guest_died(message)
        elif isinstance(message, protocol.Ending):
            box.ending(message)
        elif isinstance(message, protocol.Respawned):
            box.respawned(message, fds)
        elif isinstance(message, fork_messages.CheckpointLost):
            box.checkpoint_lost(message)
        elif isinstance(message, protocol.BoxLost):
            box.lost(message.detail)

    def _on_lost(self, reason: str) -> None:
        for box in list(self._boxes.values()):
            box.lost(f"the launcher is gone ({reason})")
        self._launcher_gone = True
        self.on_gone(reason)

    async def close(self) -> None:
        """Close every box and stop the launcher."""
        for box in list(self._boxes.values()):
            box.lost("the daemon stops", notify=False)
        if self._reviving is not None:
            self._reviving.cancel()
            await asyncio.wait([self._reviving])
        await self._link.stop()
