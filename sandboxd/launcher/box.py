"""One box: its pid 1, its cgroup, its members, from clone to the last trace removed.

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

from sandboxd.jail import wire
from sandboxd.launcher import fork_messages, idmaps, protocol
from sandboxd.launcher.cgroups import Cgroup
from sandboxd.launcher.ends import Three, close_all, guest_ends, in_order
from sandboxd.launcher.forks import Forks
from sandboxd.launcher.guest_limits import limit_guest
from sandboxd.launcher.host import Host
from sandboxd.launcher.member import Member
from sandboxd.launcher.meter import SCRATCH, Meter
from sandboxd.launcher.pid1 import Pid1
from sandboxd.launcher.protections import Row, active_protections
from sandboxd.launcher.rest import Freezer, Rest, Stopper
from sandboxd.launcher.sharing import sharing_rows
from sandboxd.launcher.zygotes import Zygote

AWAKE_SECONDS = 0.005  # after a fork or an end: see `release`
PIDS_OF_OURS = 1  # pid 1 shares the leaf with the guest

Notify = Callable[[protocol.LauncherMessage, tuple[int, ...]], None]


class Box:
    """The launcher's side of a sandbox. State is touched on the event loop only."""

    def __init__(self, number: int, zygote: Zygote, host: Host, notify: Notify) -> None:
        self.number = number
        self.environment = zygote.environment.name
        self.report: dict[str, Any] = {}  # what pid 1 said of its set-up
        self.protections: list[Row] = []  # verified once it is built
        self.python = ""
        self.zygote = zygote
        self.host = host
        self.limits: dict[str, Any] = {}
        self.cgroup: Cgroup | None = None
        self.pid1: Pid1 | None = None
        self.counters: dict[str, int] = {}  # descriptors, by the names that `Meter` knows
        self.notify = notify
        self.first = Member(number, self)
        self.members: dict[int, Member] = {number: self.first}
        self.forks = Forks(self)
        self._holds = 0  # forks, ends and starts of guests under way
        self._stopped: Member | None = None  # whose pidfd the box was put to rest by
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._pid = 0
        self._slot: int | None = None
        self._front_fds: Three | None = None  # held for the front until check-out
        self._size: tuple[int, int] | None = None  # bytes and files of the file system, once set
        self._limited = (0, 0)  # memory and pids of the cgroup
        self._closing = False
        self._end: asyncio.Task[None] | None = None
        self._file_requests: set[int] = set()
        self._rest: Rest | None = None

    @property
    def healthy(self) -> bool:
        """Tell whether pid 1 still runs and nobody is closing the box."""
        return not self._ended.done() and not self._closing

    @property
    def waits(self) -> bool:
        """Tell whether a box that was built is still fit for its check-out."""
        return self.healthy and self.first.alive

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
        self.cgroup = self.host.new_cgroup(f"box-{self.number}")
        ours, theirs = wire.pair()
        try:
            with theirs, _birthplace(self.cgroup) as directory:
                self._pid, placed = await self.zygote.fork(self.number, theirs, directory)
        except OSError as error:
            ours.close()
            raise self.host.blocked("clone", error) from None
        except BaseException:
            ours.close()  # a child that is made all the same finds nobody there, and ends
            raise
        self.host.reaper.watch(self._pid, self._on_exit)
        self.python = self.zygote.ready.result()
        pid1 = self.pid1 = Pid1(ours, self._on_answer, self._on_message)
        if self.cgroup is not None and not placed:
            self.cgroup.add(self._pid)  # before it does anything: limits cover the set-up too
        self._slot = self.host.take_slot()
        try:
            idmaps.write_maps(self._pid, self._slot)
        except OSError as error:
            raise self.host.blocked("uid_map", error) from None
        self._front_fds, inside = guest_ends()
        started = pid1.expect(f"started:{self.number}")
        try:
            order: wire.Message = {
                "op": "mapped", "switch_ids": self._slot is not None, "member": self.number,
            }  # fmt: skip
            with _doors(self.cgroup) as doors:
                order["guest_group"] = self.cgroup is not None and self.cgroup.guest is not None
                message, fds = await pid1.step("built", order, (*in_order(inside), *doors))
        finally:
            close_all(inside)
        self.report = message
        self.counters = {SCRATCH: fds[0], **(self.cgroup.counters() if self.cgroup is not None else {})}
        first = self.first
        first.meter = Meter(self.counters)
        self._rest = self._make_rest()
        first.take(*await pid1.in_time(started, "mapped"))
        self.protections = [
            *active_protections(
                first.meter.guest_pid, self.report, first.report,
                self.host.cgroup_reasons, set(self.host.cgroups.homes),
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
        assert self.pid1 is not None
        self._size = disk_bytes, files = _size(limits)
        checked_out = self.pid1.expect("checked_out")
        self.pid1.tell({"op": "checkout", "disk_bytes": disk_bytes, "files": files})
        self._limit(limits)  # while pid 1 does its part
        await self.pid1.in_time(checked_out, "checkout")

    def _limit(self, limits: dict[str, Any]) -> None:
        wanted = int(limits["memory_bytes"]), int(limits["pids"]) + PIDS_OF_OURS + self.forks.room()
        if self.cgroup is not None and wanted != self._limited:
            self._limited = wanted
            self.cgroup.limit(memory_bytes=wanted[0], pids=wanted[1])

    async def check_out(self, limits: dict[str, Any]) -> Three:
        """Set the limits of box and guest; return the front's control, stdout and stderr descriptors.

        Raises:
            SandboxdError: JAIL_FAILED.
        """
        assert self.fits(limits)
        self.limits = limits
        if self._size is None:
            await self.size(limits)
        self._limit(limits)
        limit_guest(self.first.meter.guest_pid, self.first.pidfd, self.first.report, limits)
        self.first.in_use = True
        self.zygote.count_use()
        fds, self._front_fds = self._front_fds, None
        assert fds is not None
        return fds

    # ---- hearing --------------------------------------------------------------------------------------------

    def _on_answer(self, message: wire.Message) -> None:
        if message["op"] in {"started", "born"} and not message.get("code"):
            number = int(message["member"])
            one = self.members.get(number) or self.forks.coming.get(number)
            if one is not None:
                one.alive = True

    def _on_message(self, message: wire.Message, fds: list[int]) -> None:
        op = message["op"]
        if op == "failed":
            assert self.pid1 is not None
            self.pid1.fail(self.host.blocked(str(message["detail"]), None))
        elif op == "guest_exit":
            self._on_death(int(message["member"]), int(message["status"]))
        elif op == "file":
            self._file_requests.discard(int(message["request"]))
            done = protocol.FileDone(
                int(message["request"]), str(message.get("error", "")), message.get("stat", {})
            )
            self.notify(done, tuple(fds))
        close_all(fds)

    def _on_death(self, number: int, status: int) -> None:
        if (member := self.members.get(number)) is not None:
            member.died(status)
        elif (kept := self.forks.died(number)) is not None:
            self.notify(fork_messages.CheckpointLost(kept.of.number, kept.number), ())
            self.host.spawn(self.forks.drop(number))  # its files, and its place under the limit

    def _on_exit(self, status: int) -> None:
        self._ended.set_result(status)
        if self._rest is not None:
            self._rest.leave()
        if self.pid1 is not None:
            self.pid1.silent(f"wait status {status}")
        while self._file_requests:
            self.notify(protocol.FileDone(self._file_requests.pop(), "ESTALE"), ())
        for member in () if self._closing else list(self.members.values()):
            if member.in_use:
                self.notify(protocol.BoxLost(member.number, f"pid 1 ended with wait status {status}"), ())

    # ---- rest -----------------------------------------------------------------------------------------------

    def _make_rest(self) -> Rest:
        if self.cgroup is None:
            return Stopper(self._pid, lambda: None, self._tell, self._kill_members)
        if self.cgroup.guest is not None:
            return Freezer(self.cgroup.guest)
        return Stopper(self._pid, self.cgroup.task_count, self._tell, self._kill_members)

    def _kill_members(self) -> None:
        self.forks.kill()
        for member in list(self.members.values()):
            member.kill()

    def _tell(self, op: str) -> None:
        if self.pid1 is not None:
            self.pid1.tell({"op": op})

    def wake(self, member: Member) -> None:
        """Let the box run: a member is about to."""
        assert self._rest is not None
        # Who was stopped by its own pidfd is woken by that, whoever else is about to run; the others pid 1 wakes.
        stopped, self._stopped = self._stopped or member, None
        self._rest.wake((stopped if stopped.pidfd >= 0 else member).pidfd)

    def forget_rest(self, member: Member) -> None:
        """The next guest of a member is about to start: it must not be born at rest, nor put to rest before it is ready."""
        assert self._rest is not None
        self._holds += 1
        if len(self.members) == 1 and not self.forks.kept:
            self._rest.forget()  # else checkpoints were stopped too, and have to hear when they are to fork
        else:
            self.wake(member)

    def started(self) -> None:
        """The next guest of a member is ready, or will not be."""
        self._holds -= 1
        if len(self.members) > 1 or self.forks.kept:
            self.rest()

    def member(self, number: int) -> Member | None:
        """Return a member by its number."""
        return self.members.get(number)

    def hold(self) -> None:
        """Keep the box awake until `release`: a fork or an end is under way."""
        self._holds += 1
        self._limit(self.limits)
        self.wake(self.first)

    def release(self) -> None:
        """It is over. One fork of many is followed by the next at once: to freeze and thaw all for each would cost most.

        After an end pid 1's helper has something to remove, and SIGSTOP would stop it too, until the box wakes.
        """
        self._holds -= 1
        self._limit(self.limits)
        self._loop.call_later(AWAKE_SECONDS, self.rest)

    def rest(self) -> None:
        """Stop everything in the box until the next execution begins, unless a member is in the midst of one."""
        members = self.members.values()
        standing = next((one for one in members if one.alive), None)
        if (
            self._closing
            or standing is None
            or self._rest is None
            or self._holds
            or any(one.executes for one in members)
        ):
            return
        self._stopped = standing
        self._rest.rest(standing.pidfd, standing.meter.guest_pid)

    def file(self, message: protocol.File) -> None:
        """Pass a file operation to pid 1; its death answers what is still open."""
        if self.pid1 is None or not self.healthy:
            self.notify(protocol.FileDone(message.request, "ESTALE"), ())
            return
        self._file_requests.add(message.request)
        self.pid1.tell({**protocol.encode(message), "op": "file"})

    # ---- ending ---------------------------------------------------------------------------------------------

    def kill_all(self) -> None:
        """Kill pid 1: the kernel ends everything else in its pid namespace with it."""
        if self._pid and not self._ended.done():
            if self.cgroup is not None:
                self.cgroup.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    async def leave(self, number: int) -> None:
        """End a member; the tree ends with the last one."""
        member = self.members.get(number)
        others = [one for one in self.members.values() if one is not member and not one.closing]
        if member is not None and others and self.healthy:
            await self.forks.leave(member)
        else:
            await self.close()

    async def close(self) -> None:
        """End the tree and remove the cgroup. Idempotent; goes on without its caller, or half of it would be left."""
        if self._end is None:
            self._closing = True
            self._end = self.host.finish(self._end_all())
        await asyncio.shield(self._end)

    async def _end_all(self) -> None:
        for member in self.members.values():
            member.closing = True
            member.stop()
        if self._rest is not None:
            self._rest.leave()
        self.kill_all()
        if self._pid:
            await self._ended
        if self.pid1 is not None:
            self.pid1.close()
        for member in self.members.values():
            member.stop()
            member.let_go()
        self.forks.close()
        close_all((self.counters.get(SCRATCH, -1), *(self._front_fds or ())))
        if self.cgroup is not None:
            self.cgroup.remove()
        if self._slot is not None:
            self.host.give_slot(self._slot)


def _birthplace(cgroup: Cgroup | None) -> contextlib.AbstractContextManager[int | None]:
    return cgroup.birthplace() if cgroup is not None else contextlib.nullcontext()


def _doors(cgroup: Cgroup | None) -> contextlib.AbstractContextManager[list[int]]:
    return cgroup.doors() if cgroup is not None else contextlib.nullcontext([])


def _size(limits: dict[str, Any]) -> tuple[int, int]:
    return int(limits["disk_bytes"]), int(limits["files"])
