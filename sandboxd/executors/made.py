"""The files that an execution made or changed: found by asking pid 1, where there is reason to ask.

Asking costs as much as a short snippet, so what is free decides: how full the file system is, which the front reads through
its own descriptor; how long the snippet ran; and, for a short one that leaves it as full as it was, a hint by the guest.
What is listed comes from the kernel, and no word of the guest's is in it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Awaitable, Callable

from sandboxd.errors import SandboxdError
from sandboxd.events import MadeFile, Outcome, Result
from sandboxd.executors.base import FileStat

SURELY_SECONDS = 0.003  # of a snippet that ran for so long, asking is a small part
LOOK_SECONDS = 1.0
# The end of a deadline may come max(5 %, 50 ms) late (ARCHITECTURE.md), and this is a part of it.
LATE_SHARE, LATE_SECONDS, LATE_SPARE_SECONDS = 0.05, 0.05, 0.015
_TIMEOUTS = frozenset((Outcome.TIMEOUT_WALL, Outcome.TIMEOUT_CPU))
MAX_PATHS_BYTES = 128 << 10
_COARSE_CLOCK = 5  # linux/include/uapi/linux/time.h: CLOCK_REALTIME_COARSE, which file times are taken from

Ask = Callable[[int, bool], Awaitable[tuple[list[FileStat], bool]]]


class MadeFiles:
    """Looks after each execution of one box.

    Args:
        scratch: a descriptor to ask how full the file system is; its owner closes it. None: it cannot be asked.
        ask: lists what changed since a real time in nanoseconds, and whether something was left out; its second argument
            says that what was listed before may have changed again in the same tick of the clock.
    """

    def __init__(self, scratch: int | None, ask: Ask) -> None:
        self._scratch = scratch
        self._ask = ask
        self._before = self._fill()
        self._since_ns = self._copied_ns = 0
        self._began = 0.0

    def copied(self) -> None:
        """Take every file that is there as an old one: the work directory was copied or put back just now.

        What a snippet makes in the same tick of the clock is then not told, rather than all files as the snippet's.
        """
        # By the fine clock: since Linux 6.13 a file whose time was looked at gets its next one from that (multigrain times).
        self._copied_ns = time.time_ns() + 1

    def begin(self) -> None:
        """Note how things are before an execution."""
        self._before = self._fill()
        self._since_ns = max(time.clock_gettime_ns(_COARSE_CLOCK), self._copied_ns)
        self._began = time.monotonic()

    async def add(self, result: Result, deadline_seconds: float, *, hint: bool) -> Result:
        """Put the files into a result, where there can be any.

        Args:
            result: of the execution that has just ended.
            deadline_seconds: that it had.
            hint: whether its guest says that it may have changed files, or died.
        """
        ran_seconds = time.monotonic() - self._began
        if not hint and ran_seconds < SURELY_SECONDS and self._fill() == self._before:
            return result
        late = max(LATE_SHARE * deadline_seconds, LATE_SECONDS) - LATE_SPARE_SECONDS
        try:
            async with asyncio.timeout(late if result.outcome in _TIMEOUTS else LOOK_SECONDS):
                found, truncated = await self._ask(self._since_ns, hint)
        except TimeoutError:
            return dataclasses.replace(result, files_truncated=True)
        except SandboxdError:  # the box is gone, and its files with it
            return result
        files, cut = _bounded(found)
        return dataclasses.replace(result, files=files, files_truncated=truncated or cut)

    def _fill(self) -> tuple[int, int]:
        if self._scratch is None:
            return 0, 0
        try:
            statistics = os.fstatvfs(self._scratch)
        except OSError:  # the box is gone: asking it says so
            return -1, -1
        return statistics.f_bfree, statistics.f_ffree


def _bounded(found: list[FileStat]) -> tuple[tuple[MadeFile, ...], bool]:
    """Keep what a result may hold: names are as long as a program likes."""
    files: list[MadeFile] = []
    left = MAX_PATHS_BYTES
    for one in sorted(found, key=lambda stat: stat.path):
        left -= len(one.path.encode("utf-8", "surrogatepass"))
        if left < 0:
            return tuple(files), True
        files.append(MadeFile(one.path, one.size_bytes, one.kind, one.modified_at_seconds))
    return tuple(files), False
