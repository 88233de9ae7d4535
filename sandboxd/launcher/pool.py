"""Boxes that wait: cloned, mounted, their guests locked down and ready, all but the policy's limits set by `check_out`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable

from sandboxd.environments import Environment
from sandboxd.errors import SandboxdError
from sandboxd.launcher.box import Box
from sandboxd.launcher.host import Host


class Pool:
    """Keeps `size` built boxes per environment that was asked for. State is touched on the event loop only."""

    def __init__(self, host: Host, size: int, make: Callable[[Environment], Box]) -> None:
        self._host = host
        self._size = size
        self._make = make
        self._waiting: dict[str, deque[Box]] = defaultdict(deque)
        self._building: dict[str, int] = defaultdict(int)
        self._closed = False

    async def take(self, environment: Environment) -> tuple[Box, bool]:
        """Return a built box, and whether it had been waiting. Call `refill` once it is in use.

        Building the next one at once would compete with the check-out for the same processor.

        Raises:
            SandboxdError: see `Box.build`.
        """
        waiting = self._waiting[environment.name]
        while waiting:
            box = waiting.popleft()
            if box.waits:
                return box, True
            await box.close()
        box = self._make(environment)
        try:
            await box.build()
        except BaseException:
            await box.close()
            raise
        return box, False

    def refill(self, environment: Environment) -> None:
        """Start building what is missing."""
        name = environment.name
        while not self._closed and len(self._waiting[name]) + self._building[name] < self._size:
            self._building[name] += 1
            self._host.spawn(self._add(environment))

    async def _add(self, environment: Environment) -> None:
        box = self._make(environment)
        try:
            await box.build()
        except (SandboxdError, OSError, TimeoutError):
            await box.close()  # the next `take` builds its own, and its caller hears the reason
        except asyncio.CancelledError:
            await box.close()
            raise
        else:
            if self._closed:
                await box.close()
            else:
                self._waiting[environment.name].append(box)
        finally:
            self._building[environment.name] -= 1

    async def close(self) -> None:
        """Close what waits; build nothing more."""
        self._closed = True
        for waiting in self._waiting.values():
            while waiting:
                with contextlib.suppress(OSError):
                    await waiting.popleft().close()
