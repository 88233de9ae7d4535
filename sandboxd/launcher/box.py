"""One box: its pid 1, its cgroup, its guest, from clone to the last trace removed.

Life: `build` (cloned, mapped, root mounted, guest locked down; waits in the pool) → `check_out` (the policy's limits set) →
any number of executions and respawns → `close`. Whatever fails on the way, `close` removes what was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandboxd.environments import Environment
from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import lockdown, wire
from sandboxd.launcher import idmaps, protocol
from sandboxd.launcher.cgroups import Cgroup
from sandboxd.launcher.channel import Channel
from sandboxd.launcher.death import GuestDeath, explain
from sandboxd.launcher.execution import Execution, Reins
from sandboxd.launcher.host import Host
from sandboxd.launcher.meter import SCRATCH, Meter, Reading
from sandboxd.launcher.rest import Freezer, Rest, Stopper
from sandboxd.launcher.zygotes import Zygote

STEP_SECONDS = 10.0
SWEEP_SECONDS = 2.0  # a pid 1 that has not swept by then is killed, and the box with it
PIDS_OF_OURS = 1  # pid 1 shares the leaf with the guest

Answer = tuple[wire.Message, list[int]]
Notify = Callable[[protocol.LauncherMessage, tuple[int, ...]], None]


class Box:
    """The launcher's side of a sandbox. State is touched on the event loop only."""

    def __init__(self, number: int, zygote: Zygote, host: Host, notify: Notify) -> None:
        self.number = number
        self.environment = zygote.environment.name
        self.report: dict[str, Any] = {}  # what pid 1 said of its set-up
        self.guest_report = ""
        self.python = ""
        self._zygote = zygote
        self._host = host
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._steps: dict[str, asyncio.Future[Answer]] = {}
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._channel: Channel | None = None
        self._pid = 0
        self._slot: int | None = None
        self._cgroup: Cgroup | None = None
        self.counters: dict[str, int] = {}  # descriptors, by the names that `Meter` knows
        self._guest_fd = -1
        self._front_fds: tuple[int, int, int] | None = None  # held for the front until check-out
        self._execution: Execution | None = None
        self._limits: dict[str, Any] = {}
        self._size: tuple[int, int] | None = None  # bytes and files of the file system, once set
        self._limited = (0, 0)  # memory and pids of the cgroup
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._closing = False
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
        return self._zygote.retired

    @property
    def made_for(self) -> Environment:
        """Return the environment as it was when the box was forked."""
        return self._zygote.environment

    @property
    def fresh(self) -> bool:
        """Tell whether its address layout and hash seed are no other box's."""
        return self._zygote.single

    @property
    def orphaned(self) -> bool:
        """Tell whether its zygote was at work and then died."""
        return self._zygote.loaded and not self._zygote.alive and not self._zygote.single

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
                self._pid, placed = await self._zygote.fork(self.number, theirs, directory)
        except OSError as error:
            ours.close()
            raise self._host.blocked("clone", error) from None
        except BaseException:
            ours.close()  # a child that is made all the same finds nobody there, and ends
            raise
        self._host.reaper.watch(self._pid, self._on_exit)
        self.python = self._zygote.ready.result()
        self._channel = Channel(ours, self._on_message, self._on_silence)
        if self._cgroup is not None and not placed:
            self._cgroup.add(self._pid)  # before it does anything: limits cover the set-up too
        self._slot = self._host.take_slot()
        try:
            idmaps.write_maps(self._pid, self._slot)
        except OSError as error:
            raise self._host.blocked("uid_map", error) from None
        self._front_fds, inside = _guest_descriptors()
        started = self._expect("started")
        try:
            order: wire.Message = {"op": "mapped", "switch_ids": self._slot is not None}
            with _doors(self._cgroup) as doors:
                order["guest_group"] = self._cgroup is not None and self._cgroup.guest is not None
                message, fds = await self._step("built", order, (*_in_order(inside), *doors))
        finally:
            _close_all(inside)
        self.report = message
        self.counters = {SCRATCH: fds[0], **(self._cgroup.counters() if self._cgroup is not None else {})}
        self.meter = Meter(self.counters)
        self._rest = self._make_rest()
        self._take_guest(*await self._in_time(started, "mapped"))

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
        assert self._channel is not None
        self._size = disk_bytes, files = _size(limits)
        checked_out = self._expect("checked_out")
        self._channel.send({"op": "checkout", "disk_bytes": disk_bytes, "files": files})
        self._limit(limits)  # while pid 1 does its part
        await self._in_time(checked_out, "checkout")

    def _limit(self, limits: dict[str, Any]) -> None:
        wanted = int(limits["memory_bytes"]), int(limits["pids"]) + PIDS_OF_OURS
        if self._cgroup is not None and wanted != self._limited:
            self._limited = wanted
            self._cgroup.limit(memory_bytes=wanted[0], pids=wanted[1])

    async def check_out(self, limits: dict[str, Any]) -> tuple[int, int, int]:
        """Set the limits of box and guest; return the front's control, stdout and stderr descriptors.

        Raises:
            SandboxdError: JAIL_FAILED.
        """
        assert self.fits(limits)
        self._limits = limits
        if self._size is None:
            await self.size(limits)
        self._limit(limits)
        self._limit_guest(limits)
        self._checked_out = True
        self._zygote.count_use()
        fds, self._front_fds = self._front_fds, None
        assert fds is not None
        return fds

    def _limit_guest(self, limits: dict[str, Any]) -> None:
        """Set the guest's own limits from outside: who made a user namespace has every capability in it.

        Raises:
            SandboxdError: JAIL_FAILED.
        """
        assert self.meter is not None
        said = dict(item.split("=", 1) for item in self.guest_report.split(",") if "=" in item)
        try:
            lockdown.set_policy_rlimits(self.meter.guest_pid, limits, int(said["mapped"]))
        except OSError as error:
            raise SandboxdError(
                Code.JAIL_FAILED, f"The waiting guest could not be limited ({error})."
            ) from None
        if not self._guest_alive or select.select([self._guest_fd], [], [], 0)[0]:
            raise SandboxdError(Code.JAIL_FAILED, "The waiting guest died at its check-out.")

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
        self.meter.watch(_pid_of(self._guest_fd))
        if (
            self._cgroup is not None
            and self._cgroup.guest is not None
            and "group=joined" not in self.guest_report
        ):
            self._cgroup.guest.add(self.meter.guest_pid)  # nothing untrusted ran in it yet

    def _expect(self, answer: str) -> asyncio.Future[Answer]:
        waiting: asyncio.Future[Answer] = self._loop.create_future()
        self._steps[answer] = waiting
        return waiting

    async def _step(self, answer: str, message: wire.Message, fds: tuple[int, ...] = ()) -> Answer:
        assert self._channel is not None
        waiting = self._expect(answer)
        self._channel.send(message, fds)
        return await self._in_time(waiting, message["op"])

    async def _in_time(self, waiting: asyncio.Future[Answer], step: str) -> Answer:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                return await waiting
        except TimeoutError:
            raise SandboxdError(Code.JAIL_FAILED, f"pid 1 did not answer {step!r} in time.") from None

    # ---- hearing --------------------------------------------------------------------------------------------

    def _on_message(self, message: wire.Message, fds: list[int]) -> None:
        op = message["op"]
        if op == "started":
            self._guest_alive = True
        if (waiting := self._steps.pop(op, None)) is not None and not waiting.done():
            waiting.set_result((message, fds))
        elif op == "failed":
            self._fail_steps(self._host.blocked(str(message["detail"]), None))
        elif op == "guest_exit":
            self._on_guest_exit(int(message["status"]))
        elif op == "file":
            self._file_requests.discard(int(message["request"]))
            done = protocol.FileDone(
                int(message["request"]), str(message.get("error", "")), message.get("stat", {})
            )
            self._notify(done, tuple(fds))
            _close_all(fds)
        else:
            _close_all(fds)

    def _on_silence(self, reason: str) -> None:
        self._fail_steps(SandboxdError(Code.JAIL_FAILED, f"pid 1 ended during its set-up ({reason})."))

    def _on_exit(self, status: int) -> None:
        self._ended.set_result(status)
        if self._rest is not None:
            self._rest.leave()
        self._on_silence(f"wait status {status}")
        while self._file_requests:
            self._notify(protocol.FileDone(self._file_requests.pop(), "ESTALE"), ())
        if self._checked_out and not self._closing:
            self._notify(protocol.BoxLost(self.number, f"pid 1 ended with wait status {status}"), ())

    def _fail_steps(self, error: SandboxdError) -> None:
        for waiting in self._steps.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._steps.clear()

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
            before=Reading(**message.before),  # type: ignore[arg-type]  # the fields that `counters` names
            meter=self.meter,
            reins=Reins(
                lambda cause, code: self._announce(message.execution, cause, code),
                self._interrupt_guest,
                self.kill_guest,
            ),
        )

    def rest(self) -> None:
        """Stop everything in the box until the next execution begins."""
        if (
            self._execution is None
            and self._guest_alive
            and self._rest is not None
            and self.meter is not None
        ):
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
        if self._channel is not None:
            self._channel.send({"op": op})

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
        used = None
        if execution is not None:
            execution.stop()
            used = execution.used()
        death: GuestDeath = explain(status, execution, used)
        number = execution.number if execution is not None else 0
        usage, hits = (used.usage(), used.limits_hit()) if used is not None else ({}, [])
        message = protocol.GuestDied(
            self.number, number, death.cause, death.source, death.code, death.detail, usage, hits
        )
        self._notify(message, ())
        if not self._host.closing:
            self._host.spawn(self._respawn())

    async def _respawn(self) -> None:
        """Start the next guest: the interpreter is lost, the files are not."""
        ours, theirs = _guest_descriptors()
        self._respawning = True
        assert self._rest is not None
        self._rest.forget()
        try:
            self._take_guest(
                *await self._step("started", {"op": "respawn", "limits": self._limits}, _in_order(theirs))
            )
        except SandboxdError:
            self._kill_all()  # reported as BoxLost when it is reaped
        else:
            assert self.meter is not None
            self._notify(protocol.Respawned(self.number, self.meter.guest_pid), ours)
        finally:
            self._respawning = False
            _close_all((*ours, *theirs))

    def file(self, message: protocol.File) -> None:
        """Pass a file operation to pid 1; its death answers what is still open."""
        if self._channel is None or not self.healthy:
            self._notify(protocol.FileDone(message.request, "ESTALE"), ())
            return
        self._file_requests.add(message.request)
        self._channel.send({**protocol.encode(message), "op": "file"})

    # ---- ending ---------------------------------------------------------------------------------------------

    def _kill_all(self) -> None:
        """Kill pid 1: the kernel ends everything else in its pid namespace with it."""
        if self._pid and not self._ended.done():
            if self._cgroup is not None:
                self._cgroup.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    async def close(self) -> None:
        """End the tree and remove the cgroup. Idempotent."""
        if self._closing:
            return
        self._closing = True
        if self._execution is not None:
            self._execution.stop()
        if self._rest is not None:
            self._rest.leave()
        self._kill_all()
        if self._pid:
            await self._ended
        if self._channel is not None:
            self._channel.close()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        mine = (self.counters.get(SCRATCH, -1), self._guest_fd, *(self._front_fds or ()))
        _close_all(fd for fd in mine if fd >= 0)
        if self._cgroup is not None:
            self._cgroup.remove()
        if self._slot is not None:
            self._host.give_slot(self._slot)


def _birthplace(cgroup: Cgroup | None) -> contextlib.AbstractContextManager[int | None]:
    return cgroup.birthplace() if cgroup is not None else contextlib.nullcontext()


def _doors(cgroup: Cgroup | None) -> contextlib.AbstractContextManager[list[int]]:
    return cgroup.doors() if cgroup is not None else contextlib.nullcontext([])


def _guest_descriptors() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return (control, stdout, stderr) for the front and for the guest."""
    control = socket.socketpair()
    stdout, stderr = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
    return (control[0].detach(), stdout[0], stderr[0]), (control[1].detach(), stdout[1], stderr[1])


def _size(limits: dict[str, Any]) -> tuple[int, int]:
    return int(limits["disk_bytes"]), int(limits["files"])


def _in_order(theirs: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the guest's descriptors as `lockdown.arrange_descriptors` takes them: stdout, stderr, control."""
    return theirs[1], theirs[2], theirs[0]


def _close_all(fds: Any) -> None:
    for fd in fds:
        os.close(fd)


def _pid_of(pidfd: int) -> int:
    """Return the pid behind a pidfd in this process's namespace."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return 0
