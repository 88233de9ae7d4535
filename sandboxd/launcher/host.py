"""What the boxes of this launcher share: the reaper, the cgroups, the id slots, and what the host can and cannot do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

from sandboxd.errors import Code, SandboxdError
from sandboxd.hosts import why_blocked
from sandboxd.launcher import idmaps
from sandboxd.launcher.cgroups import Cgroup, CgroupTree, find_homes
from sandboxd.launcher.reaper import Reaper

STOP_SECONDS = 5.0


class Host:
    """The host as this launcher may use it. One a process.

    Args:
        instance: names this launcher's cgroups.
        memory_total_bytes: a ceiling for all of them.
        own: processes of this daemon.
        announce: hears which cgroups there will be, before they are made.
    """

    def __init__(
        self,
        instance: str,
        memory_total_bytes: int | None,
        own: frozenset[int],
        announce: Callable[[list[str]], None],
    ) -> None:
        self.instance = instance
        self.is_root = os.geteuid() == 0
        homes, self.cgroup_reasons = find_homes(own=own)
        self.cgroups = CgroupTree(homes, instance, memory_total_bytes, announce)
        self.reaper = Reaper()
        self._slots = list(range(idmaps.SLOTS - 1, -1, -1))
        self._tasks: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self.closing = False

    def new_cgroup(self, name: str) -> Cgroup | None:
        """Make a leaf, or return None where this host gives us no controller at all."""
        return self.cgroups.create(name) if self.cgroups.homes else None

    def take_slot(self) -> int | None:
        """Return the first host id of a free slot (root), None for an ordinary user.

        Raises:
            SandboxdError: JAIL_FAILED when every slot is taken.
        """
        if not self.is_root:
            return None
        if not self._slots:
            raise SandboxdError(Code.JAIL_FAILED, "Every id range is in use.", remedy="Lower max_sessions.")
        return idmaps.slot_base(self.instance, self._slots.pop())

    def give_slot(self, base: int) -> None:
        """Return a slot."""
        self._slots.append((base - idmaps.slot_base(self.instance, 0)) // 2)

    def blocked(self, step: str, error: OSError | None) -> SandboxdError:
        """Return the error for a set-up step that the host refused, with what to do about it."""
        message, remedy, is_userns = why_blocked(step, error)
        return SandboxdError(Code.USERNS_BLOCKED if is_userns else Code.JAIL_FAILED, message, remedy=remedy)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task that this host owns until it ends. After `stop_tasks` nothing starts any more."""
        if self.closing:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop_tasks(self) -> None:
        """Cancel what is under way: opens, respawns, refills. Each closes the box that it was making."""
        self.closing = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)

    def finish(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task that nobody may cancel: the end of a box, whose caller may be gone before it is over."""
        task = asyncio.get_running_loop().create_task(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def finished(self) -> None:
        """Wait for what `finish` started."""
        if self._endings:
            await asyncio.wait(self._endings, timeout=STOP_SECONDS)

    def close(self) -> None:
        """Remove the cgroup parents; every box must be closed."""
        self.cgroups.close()
        self.reaper.close()
