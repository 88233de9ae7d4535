"""One sandbox of the process tier, as the front sees it: its guest's ends, its run, its files."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import Result
from sandboxd.executors import listing, paths
from sandboxd.executors.base import Box, FileStat, Job, Sink
from sandboxd.executors.forks import Forks, Home
from sandboxd.executors.guest import GuestLink
from sandboxd.executors.made import MadeFiles
from sandboxd.executors.run import Run
from sandboxd.launcher import fork_messages, protocol
from sandboxd.launcher.meter import SCRATCH, Meter

REST_SECONDS = 0.002
"""How long after a result the box runs on: the next snippet of a program that loops comes sooner, and finds it awake."""


class ProcessBox:
    """One sandbox of the process tier. State is touched on the event loop only."""

    def __init__(self, home: Home, born: protocol.Opened | fork_messages.Forked, fds: list[int]) -> None:
        self.protections, self.python_version, self.pooled = (
            home.protections,
            home.python_version,
            home.pooled,
        )
        self.workdir = born.workdir if isinstance(born, fork_messages.Forked) else paths.ROOT
        self.on_closed: Callable[[], Any] = lambda: None
        self._home = home
        self._link = home.link
        self._number = born.box
        self._limits = home.limits
        self._executions = itertools.count(1)
        self._uploads = itertools.count(1)
        self._upload_of: defaultdict[str, list[int]] = defaultdict(list)
        self._busy = False
        self._run: Run | None = None
        self._ran: Run | None = None  # has answered; its box still runs
        self._last: Run | None = None
        self._cancelled = ""  # by whom, before there was anything to interrupt
        self._resting: asyncio.TimerHandle | None = None
        self._variables_lost = False
        self._lost_reason = ""
        self._closed = False
        self._callback: Callable[[str], None] | None = None
        self._guest: asyncio.Future[GuestLink] = asyncio.get_running_loop().create_future()
        self._guest.set_result(GuestLink(fds, self._violation))
        self._meter = Meter(home.counters)
        self._meter.watch(born.guest_pid)
        self._forks = Forks(home, self._number)
        home.enter(self)
        self._made = MadeFiles(home.counters.get(SCRATCH), self._changes)
        if isinstance(born, fork_messages.Forked):
            self._made.copied()

    @property
    def variables_lost(self) -> bool:
        """See `Box.variables_lost`."""
        return self._variables_lost

    # ---- executing ------------------------------------------------------------------------------------------

    async def execute(self, job: Job, sink: Sink) -> Result:
        """Run one job to its end; see `Box.execute`."""
        with self._alone():  # taken before the wait for an interpreter that is being replaced
            self._cancelled = ""
            return await self._execute(job, sink)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if self._busy:
            raise SandboxdError(
                Code.SESSION_BUSY, "The session is executing.", failure=FailureClass.NOT_STARTED
            )
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    async def _execute(self, job: Job, sink: Sink) -> Result:
        self._stay_awake()  # the launcher takes this one's beginning for the last one's end
        if self._last is not None and self._last.contested:
            await self._last.settle()
        guest = await self._ready_guest()
        self._check_open()
        self._meter.share(shared=len(self._home.boxes) > 1)
        run = self._run = Run(
            self._link, self._number, next(self._executions),
            guest=guest, meter=self._meter, limits=self._limits, sink=sink,
        )  # fmt: skip
        lost_before, self._variables_lost = self._variables_lost, False
        if self._cancelled:
            asyncio.get_running_loop().call_soon(self.cancel, self._cancelled)  # once the clocks have started
        self._made.begin()
        try:
            # While it looks for files the run is still the one that is told of a signal to it, or of its death.
            result = await self._made.add(await run.go(job), job.deadline_seconds, hint=run.wrote)
        finally:
            self._run = None
            self._ran = self._last = run
        lost = result.variables_lost or lost_before or run.dead
        return dataclasses.replace(result, variables_lost=lost)

    async def _ready_guest(self) -> GuestLink:
        while True:
            awaited = self._guest
            guest = await asyncio.shield(awaited)
            if awaited is self._guest:  # else it died while this task waited for its turn
                return guest

    def rest(self) -> None:
        """See `Box.rest`."""
        if self._ran is not None and self._resting is None:
            self._resting = asyncio.get_running_loop().call_later(REST_SECONDS, self._rest)

    def _rest(self) -> None:
        self._stay_awake()
        if self._ran is not None:
            self._ran.rest()
            self._ran = None

    def _stay_awake(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def cancel(self, code: str) -> None:
        """Make the running job end: interrupt, then kill after the grace."""
        if self._run is not None:
            self._run.interrupt("cancelled" if code == "client" else "killed", code)
        elif self._busy:  # it waits for an interpreter
            self._cancelled = code

    def _violation(self) -> None:
        if self._run is not None:
            self._run.interrupt("crashed", "protocol")

    def guest_died(self, message: protocol.GuestDied) -> None:
        """The launcher says that the interpreter is gone."""
        if message.cause == "oom":
            self._home.killed_by_memory(self)
        old = self._guest_gone()
        if old is None:
            return
        if self._run is not None:
            self._run.died(message)
        else:
            self._variables_lost = True
        old.close()

    def memory_killed_another(self) -> None:
        """The memory limit of the tree killed another member's interpreter: none of this one's."""
        self._meter.oom_of_others += 1

    def _guest_gone(self) -> GuestLink | None:
        """Wait for another interpreter from here on; returns the last one's ends, if it was not gone before."""
        if not self._guest.done() or self._guest.exception() is not None:
            return None
        old = self._guest.result()
        self._guest = asyncio.get_running_loop().create_future()
        return old

    def ending(self, message: protocol.Ending) -> None:
        """The launcher makes the running execution end."""
        if self._run is not None:
            self._run.ending(message)

    def respawned(self, message: protocol.Respawned, fds: list[int]) -> None:
        """The launcher started the next interpreter."""
        self._take_guest(message.guest_pid, fds)

    def _take_guest(self, guest_pid: int, fds: list[int]) -> None:
        self._meter.watch(guest_pid)
        if self._guest.done():  # closed or lost meanwhile
            for fd in fds:
                os.close(fd)
        else:
            self._guest.set_result(GuestLink(fds, self._violation))

    # ---- clones and checkpoints -----------------------------------------------------------------------------

    async def fork(self, count: int) -> list[Box]:
        """See `Box.fork`."""
        with self._alone():
            guest = await self._idle_guest()
            self._home.check_room(count)
            clones: list[Box] = []
            try:
                for _ in range(count):
                    clones.append(await self._forks.clone(guest))  # noqa: PERF401  what is made must be known when one fails
            except BaseException:
                for clone in clones:
                    await clone.close()
                raise
            return clones

    async def checkpoint(self, name: str) -> None:
        """See `Box.checkpoint`."""
        with self._alone():
            await self._forks.keep(await self._idle_guest(), name)

    async def rollback(self, name: str) -> None:
        """See `Box.rollback`."""
        with self._alone():
            self._check_open()
            kept = self._forks.find(name)
            await self._settle()
            await self._forks.roll_back(kept, self._rolled_back)

    def _rolled_back(self, rolled: fork_messages.RolledBack, fds: list[int]) -> None:
        """Another interpreter is in the place of the last one, which is dead: only now may the ends of its sockets close."""
        if (old := self._guest_gone()) is not None:
            old.close()
        self._variables_lost = False
        self._made.copied()
        self._take_guest(rolled.guest_pid, fds)

    async def drop_checkpoint(self, name: str) -> None:
        """See `Box.drop_checkpoint`."""
        self._check_open()
        await self._forks.drop(name)

    def checkpoints(self) -> tuple[tuple[str, float], ...]:
        """See `Box.checkpoints`."""
        return self._forks.listed()

    def checkpoint_lost(self, message: fork_messages.CheckpointLost) -> None:
        """The launcher says that a checkpoint's process is gone."""
        self._forks.lost(message.checkpoint)

    async def _idle_guest(self) -> GuestLink:
        guest = await self._ready_guest()
        self._check_open()
        await self._settle()
        return guest

    async def _settle(self) -> None:
        """See that no signal of the last execution is on its way, and that its end is told."""
        self._stay_awake()
        if self._last is not None and self._last.contested:
            await self._last.settle()
        if self._ran is not None:
            self._ran.rest()
            self._ran = None

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """See `Box.on_lost`."""
        self._callback = callback
        if self._lost_reason:
            callback(self._lost_reason)

    def lost(self, reason: str, *, notify: bool = True) -> None:
        """The box is gone."""
        if self._lost_reason or self._closed:
            return
        self._lost_reason = reason
        if self._run is not None:
            self._run.lost(reason)
        self._drop_guest(reason)
        self.on_closed()
        if notify and self._callback is not None:
            self._callback(reason)

    def _drop_guest(self, reason: str) -> None:
        self._stay_awake()
        self._forks.close()
        self._home.leave(self)
        if self._guest.done():
            if self._guest.exception() is None:
                self._guest.result().close()
        else:
            self._guest.set_exception(_session_lost(reason))
            self._guest.exception()  # read here: nobody may be waiting for it

    def _check_open(self) -> None:
        if self._closed or self._lost_reason:
            raise _session_lost(self._lost_reason or "it was closed")

    # ---- files ----------------------------------------------------------------------------------------------

    async def _file(
        self, do: str, path: str, *, upload: int = 0, keep: bool = False, to: str = "", since_ns: int = 0
    ) -> tuple[protocol.FileDone, list[int]]:
        self._check_open()
        request = protocol.File(
            self._link.number(), self._number, do, paths.relative(path), upload, keep, to, since_ns
        )
        done, fds = await self._link.ask(request, protocol.FileDone)
        if done.error:
            raise paths.failure(path, done.error)
        return done, fds

    async def open_file(self, path: str, mode: str) -> tuple[int, FileStat]:
        """See `Box.open_file`."""
        if mode == "w":
            upload = next(self._uploads)
            done, fds = await self._file("write", path, upload=upload)
            self._upload_of[paths.relative(path)].append(upload)
        else:
            done, fds = await self._file("read", path)
        return fds[0], paths.file_stat(done.stat)

    async def commit_file(self, path: str, *, keep: bool) -> FileStat | None:
        """See `Box.commit_file`."""
        uploads = self._upload_of[paths.relative(path)]
        upload = uploads.pop() if uploads else 0
        done, _ = await self._file("commit", path, upload=upload, keep=keep)
        return paths.file_stat(done.stat) if keep else None

    async def list_files(self, path: str) -> tuple[list[FileStat], bool]:
        """See `Box.list_files`."""
        return listing.read(await self._file("list", path))

    async def _changes(self, since_ns: int, again: bool) -> tuple[list[FileStat], bool]:
        return listing.read(await self._file("changes", ".", since_ns=since_ns, keep=again))

    async def stat_file(self, path: str) -> FileStat:
        """See `Box.stat_file`."""
        done, _ = await self._file("stat", path)
        return paths.file_stat(done.stat)

    async def remove_file(self, path: str) -> None:
        """See `Box.remove_file`."""
        await self._file("remove", path)

    async def rename_file(self, path: str, new_path: str) -> FileStat:
        """See `Box.rename_file`."""
        done, _ = await self._file("rename", path, to=paths.relative(new_path))
        return paths.file_stat(done.stat)

    async def make_directory(self, path: str) -> FileStat:
        """See `Box.make_directory`."""
        done, _ = await self._file("mkdir", path)
        return paths.file_stat(done.stat)

    def abandon(self) -> None:
        """Close without waiting, for a caller that gave up."""
        if not self._closed:
            self._closed = True
            self._link.tell(protocol.Close(self._link.number(), self._number))
            self._drop_guest("closed")
            self.on_closed()

    async def close(self) -> None:
        """See `Box.close`."""
        if self._closed:
            return
        self._closed = True
        if self._run is not None:
            self._run.lost("closed")
        try:
            # First the box, then our ends of its sockets: a guest that saw them close would be replaced in vain.
            if not self._lost_reason:
                await self._link.ask(protocol.Close(self._link.number(), self._number), protocol.Closed)
        finally:
            self._drop_guest("closed")
            self.on_closed()


def _session_lost(reason: str) -> SandboxdError:
    return SandboxdError(
        Code.SESSION_LOST,
        f"The session is gone: {reason}.",
        remedy="Open a new one.",
        failure=FailureClass.SESSION_LOST,
    )
