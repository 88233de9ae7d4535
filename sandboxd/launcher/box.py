"""One box: its pid 1, its cgroup, its guest, from clone to the last trace removed.

Life: `build` (cloned, mapped, root mounted, guest locked down; waits in the pool) → `check_out` (the policy's limits set) →
any number of executions and respawns → `close`. Whatever fails on the way, `close` removes what was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import wire
from sandboxd.launcher import idmaps, protocol
from sandboxd.launcher.cgroups import Cgroup
from sandboxd.launcher.death import tell_death
from sandboxd.launcher.ends import Three, close_all, guest_ends, in_order, pid_of
from sandboxd.launcher.execution import Execution, Reins
from sandboxd.launcher.guest_limits import limit_guest
from sandboxd.launcher.host import Host
from sandboxd.launcher.meter import SCRATCH, Meter, Reading
from sandboxd.launcher.pid1 import Pid1
from sandboxd.launcher.protections import Row, active_protections
from sandboxd.launcher.rest import Freezer, Rest, Stopper
from sandboxd.launcher.sharing import sharing_rows
from sandboxd.launcher.zygotes import Zygote

SWEEP_SECONDS = 2.0  # a pid 1 that has not swept by then is killed, and the box with it
PIDS_OF_OURS = 1  # pid 1 shares the leaf with the guest

Notify = Callable[[protocol.LauncherMessage, tuple[int, ...]], None]


class Box:
    """The launcher's side of a sandbox. State is touched on the event loop only."""

    def __init__(self, number: int, zygote: Zygote, host: Host, notify: Notify) -> None:
        self.number = number
        self.environment = zygote.environment.name
        self.report: dict[str, Any] = {}  # what pid 1 said of its set-up
        self.guest_report = ""
        self.protections: list[Row] = []  # verified once it is built
        self.python = ""
        self.zygote = zygote
        self._host = host
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._pid1: Pid1 | None = None
        self._pid = 0
        self._slot: int | None = None
        self._cgroup: Cgroup | None = None
        self.counters: dict[str, int] = {}  # descriptors, by the names that `Meter` knows
        self._guest_fd = -1
        self._front_fds: Three | None = None  # held for the front until check-out
        self._execution: Execution | None = None
        self._limits: dict[str, Any] = {}
        self._size: tuple[int, int] | None = None  # bytes and files of the file system, once set
        self._limited = (0, 0)  # memory and pids of the cgroup
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._end: asyncio.Task[None] | None = None
        self._checked_out = False
        self._file_requests: set[int] = set()
        self._guest_alive = False
        self._respawning = False
        self.meter: Meter | None = None
        self._rest: Rest | None = None

    @property
    def healthy(self) -> bool:
        """Tell whether pid 1 still runs and nobody is closing the box."""
        return not self._ended.done() and not self._closing

    @property
    def waits(self) -> bool:
        """Tell whether a box that was built is still fit for its check-out."""
        return self.healthy and self._guest_alive

    @property
    def stale(self) -> bool:
        """Tell whether its zygote was replaced."""
        return self.zygote.retired

    # ---- making ---------------------------------------------------------------------------------------------

    async def build(self) -> None:
        """Clone, map, and mount; afterwards the box waits for `check_out`.

        Raises:
            SandboxdError: JAIL_FAILED, USERNS_BLOCKED, ENVIRONMENT_FAILED.
        """
        self._cgroup = self._host.new_cgroup(f"box-{self.number}")
        ours, theirs = wire.pair()
        try:
            with theirs, _birthplace(self._cgroup) as directory:
                self._pid, placed = await self.zygote.fork(self.number, theirs, directory)
        except OSError as error:
            ours.close()
            raise self._host.blocked("clone", error) from None
        except BaseException:
            ours.close()  # a child that is made all the same finds nobody there, and ends
            raise
        self._host.reaper.watch(self._pid, self._on_exit)
        self.python = self.zygote.ready.result()
        pid1 = self._pid1 = Pid1(ours, self._on_answer, self._on_message)
        if self._cgroup is not None and not placed:
            self._cgroup.add(self._pid)  # before it does anything: limits cover the set-up too
        self._slot = self._host.take_slot()
        try:
            idmaps.write_maps(self._pid, self._slot)
        except OSError as error:
            raise self._host.blocked("uid_map", error) from None
        self._front_fds, inside = guest_ends()
        started = pid1.expect("started")
        try:
            order: wire.Message = {"op": "mapped", "switch_ids": self._slot is not None}
            with _doors(self._cgroup) as doors:
                order["guest_group"] = self._cgroup is not None and self._cgroup.guest is not None
                message, fds = await pid1.step("built", order, (*in_order(inside), *doors))
        finally:
            close_all(inside)
        self.report = message
        self.counters = {SCRATCH: fds[0], **(self._cgroup.counters() if self._cgroup is not None else {})}
        self.meter = Meter(self.counters)
        self._rest = self._make_rest()
        self._take_guest(*await pid1.in_time(started, "mapped"))
        self.protections = [
            *active_protections(
                self.meter.guest_pid, self.report, self.guest_report,
                self._host.cgroup_reasons, set(self._host.cgroups.homes),
            ),
            *sharing_rows(fresh=self.zygote.single),
        ]  # fmt: skip

    def fits(self, limits: dict[str, Any] | None) -> bool:
        """Tell whether the box can take these limits: a file system is sized once, often before they are known (None)."""
        return self._size is None or (limits is not None and self._size == _size(limits))

    @property
    def sized(self) -> bool:
        """Tell whether the file system has its size already."""
        return self._size is not None

    async def size(self, limits: dict[str, Any]) -> None:
        """Set what pid 1 and the cgroup hold of the limits.

        Raises:
            SandboxdError: JAIL_FAILED.
        """
        assert self._pid1 is not None
        self._size = disk_bytes, files = _size(limits)
        checked_out = self._pid1.expect("checked_out")
        self._pid1.tell({"op": "checkout", "disk_bytes": disk_bytes, "files": files})
        self._limit(limits)  # while pid 1 does its part
        await self._pid1.in_time(checked_out, "checkout")

    def _limit(self, limits: dict[str, Any]) -> None:
        wanted = int(limits["memory_bytes"]), int(limits["pids"]) + PIDS_OF_OURS
        if self._cgroup is not None and wanted != self._limited:
            self._limited = wanted
            self._cgroup.limit(memory_bytes=wanted[0], pids=wanted[1])

    async def check_out(self, limits: dict[str, Any]) -> Three:
        """Set the limits of box and guest; return the front's control, stdout and stderr descriptors.

        Raises:
            SandboxdError: JAIL_FAILED.
        """
        assert self.fits(limits)
        self._limits = limits
        if self._size is None:
            await self.size(limits)
        self._limit(limits)
        assert self.meter is not None
        limit_guest(self.meter.guest_pid, self._guest_fd, self.guest_report, limits)
        self._checked_out = True
        self.zygote.count_use()
        fds, self._front_fds = self._front_fds, None
        assert fds is not None
        return fds

    def _take_guest(self, message: wire.Message, fds: list[int]) -> None:
        """Take over the guest that pid 1 started.

        Raises:
            SandboxdError: JAIL_FAILED.
        """
        if self._guest_fd >= 0:
            os.close(self._guest_fd)
        self._guest_fd = fds[0]
        self.guest_report = str(message["report"])
        if "error=" in self.guest_report or not self.guest_report or not self._guest_alive:
            raise SandboxdError(
                Code.JAIL_FAILED, f"The guest could not be locked down: {self.guest_report[:500]}"
            )
        assert self.meter is not None
        self.meter.watch(pid_of(self._guest_fd))
        if (
            self._cgroup is not None
            and self._cgroup.guest is not None
            and "group=joined" not in self.guest_report
        ):
            self._cgroup.guest.add(self.meter.guest_pid)  # nothing untrusted ran in it yet

    # ---- hearing --------------------------------------------------------------------------------------------

    def _on_answer(self, op: str) -> None:
        if op == "started":
            self._guest_alive = True

    def _on_message(self, message: wire.Message, fds: list[int]) -> None:
        op = message["op"]
        if op == "failed":
            assert self._pid1 is not None
            self._pid1.fail(self._host.blocked(str(message["detail"]), None))
        elif op == "guest_exit":
            self._on_guest_exit(int(message["status"]))
        elif op == "file":
            self._file_requests.discard(int(message["request"]))
            done = protocol.FileDone(
                int(message["request"]), str(message.get("error", "")), message.get("stat", {})
            )
            self._notify(done, tuple(fds))
        close_all(fds)

    def _on_exit(self, status: int) -> None:
        self._ended.set_result(status)
        if self._rest is not None:
            self._rest.leave()
        if self._pid1 is not None:
            self._pid1.silent(f"wait status {status}")
        while self._file_requests:
            self._notify(protocol.FileDone(self._file_requests.pop(), "ESTALE"), ())
        if self._checked_out and not self._closing:
            self._notify(protocol.BoxLost(self.number, f"pid 1 ended with wait status {status}"), ())

    # ---- executions -----------------------------------------------------------------------------------------

    def begin(self, message: protocol.Begin) -> None:
        """Let the box run, and start the clocks of an execution."""
        assert self.meter is not None
        assert self._rest is not None
        self._rest.wake(self._guest_fd)
        if self._execution is not None:
            self._execution.stop()  # the front lost track of it: its timers must not outlive it
        self.meter.note_peak()
        self._execution = Execution(
            message.execution,
            deadline_seconds=message.deadline_seconds,
            grace_seconds=float(self._limits["grace_seconds"]),
            cpu_seconds=float(self._limits["cpu_seconds"]),
            wait_seconds=float(self._limits["tool_wait_seconds"]),
            before=Reading(**message.before),  # type: ignore[arg-type]  # the fields that `counters` names
            meter=self.meter,
            reins=Reins(
                lambda cause, code: self._announce(message.execution, cause, code),
                self._interrupt_guest,
                self.kill_guest,
            ),
        )

    def stand(self, number: int, *, still: bool) -> None:
        """Let the wall clock of the running execution stand still, or go on."""
        if self._execution is not None and self._execution.number == number:
            (self._execution.pause if still else self._execution.resume)()

    def rest(self) -> None:
        """Stop everything in the box until the next execution begins."""
        idle = self._execution is None and self._guest_alive
        if idle and self._rest is not None and self.meter is not None:
            self._rest.rest(self._guest_fd, self.meter.guest_pid)

    def end(self, number: int) -> None:
        """Stop the clocks, and the box: the guest answered."""
        if self._execution is not None and self._execution.number == number:
            self._execution.stop()
            self._execution = None
            self.rest()

    def interrupt(self, number: int, cause: str, code: str) -> None:
        """Make the running execution end for a cause."""
        if self._execution is not None and self._execution.number == number:
            self._execution.end(cause, code)

    def _make_rest(self) -> Rest:
        if self._cgroup is None:
            return Stopper(self._pid, lambda: None, self._tell, self.kill_guest)
        if self._cgroup.guest is not None:
            return Freezer(self._cgroup.guest)
        return Stopper(self._pid, self._cgroup.task_count, self._tell, self.kill_guest)

    def _tell(self, op: str) -> None:
        if self._pid1 is not None:
            self._pid1.tell({"op": op})

    def _announce(self, number: int, cause: str, code: str) -> None:
        self._notify(protocol.Ending(self.number, number, cause, code), ())

    def _interrupt_guest(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._guest_fd, signal.SIGINT)

    def kill_guest(self) -> None:
        """Kill the guest, and have pid 1 kill all that it started."""
        if self.meter is not None:
            self.meter.cpu_seconds()  # the last chance to read a process's own clock
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._guest_fd, signal.SIGKILL)
        self._tell("sweep")
        self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._kill_all)

    def _on_guest_exit(self, status: int) -> None:
        self._guest_alive = False
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        execution, self._execution = self._execution, None
        if self._closing or not self._checked_out or self._respawning:
            return  # a guest that dies while it starts fails `_start`
        self._notify(tell_death(self.number, status, execution), ())
        if not self._host.closing:
            self._host.spawn(self._respawn())

    async def _respawn(self) -> None:
        """Start the next guest: the interpreter is lost, the files are not."""
        ours, theirs = guest_ends()
        self._respawning = True
        assert self._rest is not None
        assert self._pid1 is not None
        self._rest.forget()
        try:
            order: wire.Message = {"op": "respawn", "limits": self._limits}
            self._take_guest(*await self._pid1.step("started", order, in_order(theirs)))
        except SandboxdError:
            self._kill_all()  # reported as BoxLost when it is reaped
        else:
            assert self.meter is not None
            self._notify(protocol.Respawned(self.number, self.meter.guest_pid), ours)
        finally:
            self._respawning = False
            close_all((*ours, *theirs))

    def file(self, message: protocol.File) -> None:
        """Pass a file operation to pid 1; its death answers what is still open."""
        if self._pid1 is None or not self.healthy:
            self._notify(protocol.FileDone(message.request, "ESTALE"), ())
            return
        self._file_requests.add(message.request)
        self._pid1.tell({**protocol.encode(message), "op": "file"})

    # ---- ending ---------------------------------------------------------------------------------------------

    def _kill_all(self) -> None:
        """Kill pid 1: the kernel ends everything else in its pid namespace with it."""
        if self._pid and not self._ended.done():
            if self._cgroup is not None:
                self._cgroup.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    async def close(self) -> None:
        """End the tree and remove the cgroup. Idempotent; goes on without its caller, or half of it would be left."""
        if self._end is None:
            self._closing = True
            self._end = self._host.finish(self._end_all())
        await asyncio.shield(self._end)

    async def _end_all(self) -> None:
        if self._execution is not None:
            self._execution.stop()
        if self._rest is not None:
            self._rest.leave()
        self._kill_all()
        if self._pid:
            await self._ended
        if self._pid1 is not None:
            self._pid1.close()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        close_all((self.counters.get(SCRATCH, -1), self._guest_fd, *(self._front_fds or ())))
        if self._cgroup is not None:
            self._cgroup.remove()
        if self._slot is not None:
            self._host.give_slot(self._slot)


def _birthplace(cgroup: Cgroup | None) -> contextlib.AbstractContextManager[int | None]:
    return cgroup.birthplace() if cgroup is not None else contextlib.nullcontext()


def _doors(cgroup: Cgroup | None) -> contextlib.AbstractContextManager[list[int]]:
    return cgroup.doors() if cgroup is not None else contextlib.nullcontext([])


def _size(limits: dict[str, Any]) -> tuple[int, int]:
    return int(limits["disk_bytes"]), int(limits["files"])
