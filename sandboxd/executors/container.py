"""Containers as an executor: made by the broker, waiting in a pool, driven from here. One session a container."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from sandboxd.broker.allow_list import Image, load_image
from sandboxd.broker.spec import Shape
from sandboxd.errors import Code, SandboxdError
from sandboxd.events import PoolStats
from sandboxd.executors.base import BoxSpec, EnvironmentInfo
from sandboxd.executors.broker_link import BrokerLink, Greeting
from sandboxd.executors.container_box import ContainerBox
from sandboxd.executors.container_guest import stage_guest
from sandboxd.executors.container_link import ContainerLink
from sandboxd.executors.container_pool import ContainerPool, Waiting
from sandboxd.executors.container_protections import rows
from sandboxd.launcher.protections import check_required
from sandboxd.seccomp import build_filters

RECONCILE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """What the container tiers need to know.

    Attributes:
        engine_socket: the engine's.
        images_dir: the allow-list that `sandboxd image` keeps.
        guest_parent: where the guest's code is put for containers to mount; the engine must see the same path.
        owner: stands for the state directory, in hexadecimal.
        pool_size: waiting containers of each kind that was asked for.
        pool_max: in all, of one runtime.
        cpus: that one container may use.
    """

    engine_socket: Path
    images_dir: Path
    guest_parent: Path
    owner: str
    pool_size: int = 1
    pool_max: int = 4
    cpus: float = 1.0


class ContainerYard:
    """What the tiers `runc` and `runsc` share: one broker, one instance, one reconciliation. On the event loop only."""

    def __init__(self, settings: ContainerSettings) -> None:
        self.settings = settings
        self.instance = secrets.token_hex(4)
        self.held: set[str] = set()
        self._link: BrokerLink | None = None
        self._filter = ""
        self._opening = asyncio.Lock()
        self._reconciling: asyncio.Task[None] | None = None

    async def broker(self) -> BrokerLink:
        """Return the broker, started. The first call removes what a dead run with this owner left.

        Raises:
            SandboxdError: EXECUTOR_UNAVAILABLE, PROTECTION_MISSING.
        """
        async with self._opening:
            if self._link is None:
                guest_dir = await asyncio.to_thread(_staged, self.settings.guest_parent)
                self._filter = base64.b64encode(build_filters()["guest"].program).decode()
                settings = self.settings
                greeting = Greeting(
                    owner=settings.owner,
                    instance=self.instance,
                    socket=str(settings.engine_socket),
                    images_dir=str(settings.images_dir),
                    guest_dir=str(guest_dir),
                )
                self._link = BrokerLink(greeting)
            await self._link.ready()
            if self._reconciling is None:
                await self._link.reconcile([])
                self._reconciling = asyncio.get_running_loop().create_task(self._reconcile(self._link))
        return self._link

    async def _reconcile(self, link: BrokerLink) -> None:
        """Look now and then for what nobody has: a broker that died between two verbs may have left it."""
        while True:
            await asyncio.sleep(RECONCILE_SECONDS)
            with contextlib.suppress(SandboxdError):
                await link.reconcile(sorted(self.held))

    async def make(self, image: Image, shape: Shape) -> Waiting:
        """Make a container and wait until its guest is ready; nothing is left of one that does not come so far.

        Raises:
            SandboxdError: see `Executor.open`.
        """
        broker = await self.broker()
        order = {name: getattr(shape, name) for name in shape.__dataclass_fields__}
        launched, fds = await broker.launch({"image": image.name, **order})
        container = launched.container
        counters = dict(zip(launched.counters, fds[1:], strict=True))
        self.held.add(container)

        async def stop() -> tuple[bool, int]:
            try:
                return await broker.stop(container)
            finally:
                self.held.discard(container)

        own_kernel = shape.runtime != "runc"
        link = ContainerLink(socket.socket(fileno=fds[0]), counters, stop, mortal=own_kernel)
        try:
            _require_counters(counters)
            await link.start(self._order(image, shape))
        except BaseException:
            await asyncio.shield(asyncio.wait([link.end()]))
            raise
        return Waiting(container, link, launched.facts)

    def _order(self, image: Image, shape: Shape) -> dict[str, object]:
        return {
            "guest_filter": self._filter,
            "sys_path": list(image.sys_path),
            "memory_bytes": shape.memory_bytes,
            "disk_bytes": shape.disk_bytes,
            "guest_settings": {
                "preload": list(image.preload),
                "packages": list(image.packages),
                "repr_limit": 65536,
                "display_item_bytes": 4 << 20,
                "display_total_bytes": 8 << 20,
                "workdir": "/work",
            },
        }

    async def close(self) -> None:
        """End the broker, and with it every container of this run. Idempotent."""
        if self._reconciling is not None:
            self._reconciling.cancel()
            await asyncio.wait([self._reconciling])
        if self._link is not None:
            await self._link.close()


class ContainerExecutor:
    """One of the container tiers.

    Args:
        runtime: runc, or runsc: gVisor's own kernel in user space.
        yard: shared with the other one; who made it closes it.
    """

    def __init__(self, runtime: str, yard: ContainerYard) -> None:
        self.name = runtime
        self._yard = yard
        self._pool = ContainerPool(yard.settings.pool_size, yard.settings.pool_max)
        self._boxes: set[ContainerBox] = set()

    async def start(self) -> None:
        """Nothing: the broker starts with the first session, so that who uses no containers pays for none."""

    async def open(self, spec: BoxSpec) -> ContainerBox:
        """Open a box; see `Executor.open`."""
        image = load_image(self._yard.settings.images_dir, spec.environment)
        limits = spec.limits
        shape = Shape(
            runtime=self.name,
            memory_bytes=limits.memory_bytes,
            disk_bytes=limits.disk_bytes,
            files=limits.files,
            pids=limits.pids,
            cpus=self._yard.settings.cpus,
        )
        kind = (f"{image.name}@{image.image_id}", shape.text())
        waiting, pooled = await self._pool.take(kind, lambda: self._yard.make(image, shape))
        try:
            protections = rows(waiting.facts, waiting.link.report, set(waiting.link.counters))
            check_required(protections, list(spec.require), memory_total=limits.memory_enforce == "total")
        except BaseException:
            await asyncio.shield(asyncio.wait([waiting.link.end()]))
            raise
        box = ContainerBox(waiting.link, spec, protections, pooled=pooled)
        self._boxes.add(box)
        box.on_closed = lambda: self._boxes.discard(box)
        (await self._yard.broker()).assign(waiting.container, spec.display_id)
        return box

    def environment(self, name: str) -> EnvironmentInfo:
        """See `Executor.environment`: an image's name is the environment's."""
        image = load_image(self._yard.settings.images_dir, name)
        return EnvironmentInfo(image.name, image.version, image.packages)

    async def pools(self) -> tuple[PoolStats, ...]:
        """See `Executor.pools`."""
        return self._pool.stats()

    async def close(self) -> None:
        """Close every box and what waits."""
        await self._pool.close()
        await asyncio.gather(*(box.close() for box in tuple(self._boxes)), return_exceptions=True)


def _staged(parent: Path) -> Path:
    try:
        return stage_guest(parent)
    except OSError as error:
        raise SandboxdError(
            Code.EXECUTOR_UNAVAILABLE,
            f"The guest's code cannot be laid out for containers in {parent}: {error.strerror}.",
            remedy="Make room there, or name another state directory with --state-dir.",
        ) from error


def _require_counters(counters: dict[str, int]) -> None:
    if not counters.keys() & {"cpuacct.usage", "cpu.stat"}:
        raise SandboxdError(
            Code.EXECUTOR_UNAVAILABLE,
            "The container's CPU counter cannot be read: its limits could not be held.",
            remedy="Run the daemon where it sees the engine's cgroups, in the host's cgroup namespace.",
        )
