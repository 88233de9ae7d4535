"""The daemon: startup, main loop, shutdown, each in the order in which things depend on each other.

Signals and the lifeline only queue; the loop dispatches to `_handle_<event>`. The first SIGTERM or SIGINT drains:
health says NOT_SERVING, new work is refused, what runs gets `drain_seconds`. The second one stops at once. The end
of the lifeline stops at once too: the process that all this was for is gone.
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
from sandboxd.errors import SandboxdError
from sandboxd.executors.process import ProcessExecutor, ProcessSettings
from sandboxd.log import StateDir
from sandboxd.server.sockets import PublicSocket

if TYPE_CHECKING:
    from sandboxd.config import Config, Invocation
    from sandboxd.server.announce import Announcer
    from sandboxd.server.house import House

_logger = logging.getLogger(__name__)
_SIGNALS = {signal.SIGTERM: "term", signal.SIGINT: "term"}
_STOP_GRACE_SECONDS = 1.0


class Daemon:
    """One daemon, from its sockets to its log. `run` is its life."""

    def __init__(self, config: Config, invocation: Invocation, announcer: Announcer) -> None:
        self._config = config
        self._invocation = invocation
        self._announcer = announcer
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._stop_now = asyncio.Event()
        self._ended = False
        self._began = time.monotonic()

    async def run(self) -> None:
        """Start, serve until told to stop, end.

        Raises:
            SandboxdError: the daemon cannot start, in an exception group.
        """
        self._listen_for_signals()
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            house = await self._startup(stack, group)
            try:
                await self._main_loop(house)
            finally:
                await self._shutdown(house)
