"""The daemon: startup, main loop, shutdown, each in the order in which things depend on each other.

Signals and the lifeline only queue; the loop dispatches to `_handle_<event>`. The first SIGTERM or SIGINT
drains: health says NOT_SERVING, a moment later new work is refused, and what runs gets `drain_seconds`. The
second one stops at once. So does the end of the lifeline: the process that all this was for is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import time
from typing import TYPE_CHECKING

from sandboxd import __version__
from sandboxd.executors.process import ProcessExecutor, ProcessSettings
from sandboxd.log import StateDir
from sandboxd.server.containers import container_tiers, interpreter_of
from sandboxd.server.sockets import PublicSocket

if TYPE_CHECKING:
    from pathlib import Path

    from sandboxd.config import Config, Invocation
    from sandboxd.screen import Screener
    from sandboxd.server.announce import Announcer
    from sandboxd.server.house import House

_logger = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_HEALTH_HEAD_START_SECONDS = 0.1
_STOP_GRACE_SECONDS = 0.5
_HOUSE = "sandboxd.server.house"
STDERR_NAME = "daemon.log"


class Daemon:
    """One daemon, from its sockets to its log. `run` is its life."""

    def __init__(self, config: Config, invocation: Invocation, announcer: Announcer) -> None:
        self._config = config
        self._invocation = invocation
        self._announcer = announcer
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._draining: asyncio.Task[None] | None = None
        self._ended = False
        self._began = time.monotonic()

    async def run(self) -> None:
        """Start, serve until told to stop, end.

        Raises:
            SandboxdError: the daemon cannot start; it may come in an exception group.
        """
        self._listen_for_events()
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            house = await self._startup(stack, group)
            try:
                await self._main_loop(house, group)
            finally:
                await self._shutdown(house)

    async def _startup(self, stack: contextlib.AsyncExitStack, group: asyncio.TaskGroup) -> House:
        config = self._config
        ephemeral = _fresh(self._invocation.runtime_dir)
        public, admin = self._bind(stack)
        state = stack.enter_context(StateDir.open(config.state_dir))
        executor = ProcessExecutor(
            ProcessSettings(
                environments_dir=config.environments_dir,
                pool_size=config.pool_size,
                pool_max=config.pool_max,
                pool_fresh=config.pool_fresh,
                zygote_boxes=config.zygote_boxes,
                zygote_seconds=config.zygote_seconds,
                memory_total_bytes=config.memory_total or None,
                prepare=("base",),
                ephemeral_dir=ephemeral,
                sockets=(public.place, admin.place),
            )
        )
        stack.push_async_callback(executor.close)
        tiers = (executor, *container_tiers(config, state, stack))
        if ephemeral is not None:
            executor.on_gone = lambda _: self._events.put_nowait("launcher lost")
        # The launcher and the screener start in processes of their own while this one imports gRPC and
        # pydantic.
        async with asyncio.TaskGroup() as starting:
            starting.create_task(executor.start())
            screening = starting.create_task(self._start_screener(stack))
            importing = starting.create_task(asyncio.to_thread(importlib.import_module, _HOUSE))
        house: House = importing.result().House(config, state, tiers, screening.result(), group)
        stack.callback(house.close)
        embedded = self._invocation.embedded
        await house.start(public, admin, only_uid=os.geteuid() if embedded else None)
        self._announcer.ready(config, house.own_address)
        seconds = round(time.monotonic() - self._began, 3)
        _logger.info(
            "serving", extra={"address": config.address, "version": __version__, "start_seconds": seconds}
        )
        return house

    async def _main_loop(self, house: House, group: asyncio.TaskGroup) -> None:
        while not self._ended:
            event = await self._events.get()
            if event == "term":
                self._handle_term(house, group)
            else:
                self._handle_end(event)

    async def _shutdown(self, house: House) -> None:
        _logger.info("stopping")
        if self._draining is not None:
            self._draining.cancel()
        await house.stop(_STOP_GRACE_SECONDS)

    def _handle_term(self, house: House, group: asyncio.TaskGroup) -> None:
        if self._draining is None:
            _logger.info("draining", extra={"seconds": self._config.drain_seconds})
            self._draining = group.create_task(self._drain(house))
        else:
            self._handle_end("second signal")

    def _handle_end(self, event: str) -> None:
        _logger.info("end", extra={"cause": event})
        self._ended = True

    async def _drain(self, house: House) -> None:
        await house.say_not_serving()
        await asyncio.sleep(_HEALTH_HEAD_START_SECONDS)
        await house.sessions.drain(self._config.drain_seconds)
        self._events.put_nowait("drained")

    def _bind(self, stack: contextlib.AsyncExitStack) -> tuple[PublicSocket, PublicSocket]:
        private = self._invocation.embedded
        public = PublicSocket(self._config.address, mode=0o660, private=private)
        stack.callback(public.close)
        admin = PublicSocket(self._config.admin_address, mode=0o600, private=private)
        stack.callback(admin.close)
        return public, admin

    async def _start_screener(self, stack: contextlib.AsyncExitStack) -> Screener:
        from sandboxd.screen import Screener  # noqa: PLC0415  # beside the launcher's start, not before it

        config = self._config
        screener = Screener(
            workers=config.screen_workers, python_of=lambda name: interpreter_of(config, name)
        )
        stack.push_async_callback(screener.close)
        await screener.start()
        return screener

    def _listen_for_events(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._events.put_nowait, "term")
        lifeline = self._invocation.lifeline_fd
        if lifeline is not None:
            os.set_inheritable(lifeline, False)
            os.set_blocking(lifeline, False)
            loop.add_reader(lifeline, self._lifeline_readable, lifeline)

    def _lifeline_readable(self, lifeline: int) -> None:
        with contextlib.suppress(BlockingIOError):
            if not os.read(lifeline, 4096):
                asyncio.get_running_loop().remove_reader(lifeline)
                self._events.put_nowait("lifeline")


def _fresh(runtime_dir: Path | None) -> Path | None:
    """Tell the runtime directory if it is the daemon's alone to remove: one that had something in it is not.

    Its own standard error may stand there already, put there by whoever starts it.
    """
    if runtime_dir is None:
        return None
    runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = {entry.name for entry in runtime_dir.iterdir()}
    return runtime_dir if found <= {STDERR_NAME} else None
