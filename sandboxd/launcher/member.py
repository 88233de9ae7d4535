"""One guest of a box: its interpreter, its execution, its meter, its death and its successor.

A box is a tree of members: the first guest and the live clones of it, each a sandbox of its own to the front, by a number of
its own. What they share (pid 1, cgroup, file system, rest) is `sandboxd.launcher.box`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from typing import Any, Protocol

from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import mounts, wire
from sandboxd.launcher import protocol
from sandboxd.launcher.cgroups import Cgroup
from sandboxd.launcher.death import tell_death
from sandboxd.launcher.ends import close_all, guest_ends, in_order, pid_of
from sandboxd.launcher.execution import Execution, Reins
from sandboxd.launcher.host import Host
from sandboxd.launcher.meter import Meter, Reading
from sandboxd.launcher.pid1 import Pid1

SWEEP_SECONDS = 2.0  # a pid 1 that has not swept by then is killed, and the box with it


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member's files are: a home of its own, in which its clones have theirs, and the work directory."""

    home: str = mounts.CLONES
    workdir: str = mounts.WORK

    def below(self, number: int) -> Place:
        """Return the place of a clone or checkpoint."""
        home = f"{self.home}/{number}"
        return Place(home, f"{home}/work")


class Tree(Protocol):
    """What a member needs of its box."""

    host: Host
    cgroup: Cgroup | None
    limits: dict[str, Any]
    pid1: Pid1 | None
    counters: dict[str, int]
    members: dict[int, Member]

    def notify(self, message: protocol.LauncherMessage, fds: tuple[int, ...]) -> None:
        """Tell the front."""

    def wake(self, member: Member) -> None:
        """Let the box run."""

    def forget_rest(self, member: Member) -> None:
        """See that the next guest of a member is not born at rest; `started` follows."""

    def started(self) -> None:
        """The next guest of a member is ready, or will not be."""

    def rest(self) -> None:
        """Stop the box if no member executes."""

    def kill_all(self) -> None:
        """End the whole tree."""


class Member:
    """The launcher's side of one guest. State is touched on the event loop only.

    Args:
        number: the front's name for it.
        tree: its box, whose counters its meter reads.
        place: where its files are.
    """

    def __init__(self, number: int, tree: Tree, place: Place = Place()) -> None:
        self.number = number
        self.place = place
        self.pidfd = -1
        self.report = ""  # what the guest said of its lock-down
        self.alive = False
        self.in_use = False  # the front has its descriptors
        self.closing = False
        self.meter = Meter(tree.counters)
        self._tree = tree
        self._loop = asyncio.get_running_loop()
        self._execution: Execution | None = None
        self._respawning = False
        self._halting = False
        self._idle = asyncio.Event()  # no respawn is under way
        self._idle.set()
        self._sweep_timer: asyncio.TimerHandle | None = None

    @property
    def executes(self) -> bool:
        """Tell whether an execution is under way."""
        return self._execution is not None

    def adopt(self, pidfd: int) -> None:
        """Take over a guest that was cloned.

        Raises:
            SandboxdError: FORK_FAILED: it is dead already.
        """
        self._take_pidfd(pidfd)
        if not self.alive:
            self.let_go()
            raise SandboxdError(Code.FORK_FAILED, "The clone ended at once.", remedy="Try again.")

    def take(self, message: wire.Message, fds: list[int]) -> None:
        """Take over the guest that pid 1 started.

        Raises:
            SandboxdError: JAIL_FAILED.
        """
        self._take_pidfd(fds[0])
        self.report = str(message["report"])
        if "error=" in self.report or not self.report or not self.alive:
            raise SandboxdError(Code.JAIL_FAILED, f"The guest could not be locked down: {self.report[:500]}")
        cgroup = self._tree.cgroup
        if cgroup is not None and cgroup.guest is not None and "group=joined" not in self.report:
            cgroup.guest.add(self.meter.guest_pid)  # nothing untrusted ran in it yet

    def _take_pidfd(self, pidfd: int) -> None:
        close_all((self.pidfd,))
        self.pidfd = pidfd
        self.meter.watch(pid_of(pidfd))

    # ---- executions -----------------------------------------------------------------------------------------

    def begin(self, message: protocol.Begin) -> None:
        """Let the box run, and start the clocks of an execution."""
        self._tree.wake(self)
        if self._execution is not None:
            self._execution.stop()  # the front lost track of it: its timers must not outlive it
        self.meter.share(shared=message.shared)
        self.meter.note_peak()
        limits = self._tree.limits
        self._execution = Execution(
            message.execution,
            deadline_seconds=message.deadline_seconds,
            grace_seconds=float(limits["grace_seconds"]),
            cpu_seconds=float(limits["cpu_seconds"]),
            wait_seconds=float(limits["tool_wait_seconds"]),
            before=Reading(**message.before),  # type: ignore[arg-type]  # the fields that `counters` names
            meter=self.meter,
            reins=Reins(
                lambda cause, code: self._announce(message.execution, cause, code),
                self._interrupt_guest,
                self.kill,
            ),
        )

    def stand(self, number: int, *, still: bool) -> None:
        """Let the wall clock of the running execution stand still, or go on."""
        if self._execution is not None and self._execution.number == number:
            (self._execution.pause if still else self._execution.resume)()

    def end(self, number: int) -> None:
        """Stop the clocks, and the box: the guest answered."""
        if self._execution is not None and self._execution.number == number:
            self._execution.stop()
            self._execution = None
            self._tree.rest()

    def interrupt(self, number: int, cause: str, code: str) -> None:
        """Make the running execution end for a cause."""
        if self._execution is not None and self._execution.number == number:
            self._execution.end(cause, code)

    def _announce(self, number: int, cause: str, code: str) -> None:
        self._tree.notify(protocol.Ending(self.number, number, cause, code), ())

    def _interrupt_guest(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGINT)

    def kill(self) -> None:
        """Kill the guest, and have pid 1 kill all that it started."""
        self.meter.cpu_seconds()  # the last chance to read a process's own clock
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self._tell({"op": "sweep", "member": self.number})
        self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._tree.kill_all)

    def _tell(self, message: wire.Message) -> None:
        if self._tree.pid1 is not None:
            self._tree.pid1.tell(message)

    # ---- death ----------------------------------------------------------------------------------------------

    def died(self, status: int) -> None:
        """Pid 1 reaped the guest."""
        self.alive = False
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        execution, self._execution = self._execution, None
        if self.closing or not self.in_use or self._respawning or self._halting:
            return  # a guest that dies while it starts fails its start
        others = [one for one in self._tree.members.values() if one is not self]
        death = tell_death(self.number, status, execution, shared=bool(others))
        if death.cause == "oom":
            for one in others:
                one.meter.oom_of_others += 1
        self._tree.notify(death, ())
        if not self._tree.host.closing:
            self._tree.host.spawn(self._respawn())

    async def halt(self) -> None:
        """End the interpreter and all that it started: the next one comes from a checkpoint.

        Raises:
            SandboxdError: JAIL_FAILED.
        """
        await self._idle.wait()
        self._halting = True
        self.stop()
        self._execution = None
        assert self._tree.pid1 is not None
        try:
            await self._tree.pid1.step(f"halted:{self.number}", {"op": "halt", "member": self.number})
        except BaseException:
            self._tree.kill_all()
            raise

    def halted(self, *, restored: bool) -> None:
        """The next interpreter is there; or none came, and an empty one is started."""
        self._halting = False
        if not restored:
            self._tree.notify(protocol.GuestDied(self.number, 0, "", "rollback", "", "", {}, []), ())
            if not self._tree.host.closing:
                self._tree.host.spawn(self._respawn())

    async def _respawn(self) -> None:
        """Start the next guest: the interpreter is lost, the files are not."""
        ours, theirs = guest_ends()
        self._respawning = True
        self._idle.clear()
        assert self._tree.pid1 is not None
        self._tree.forget_rest(self)
        try:
            order: wire.Message = {
                "op": "respawn", "member": self.number, "limits": self._tree.limits,
                "home": self.place.home, "workdir": self.place.workdir,
            }  # fmt: skip
            self.take(*await self._tree.pid1.step(f"started:{self.number}", order, in_order(theirs)))
        except SandboxdError:
            self._tree.kill_all()  # reported as BoxLost when it is reaped
        else:
            self._tree.notify(protocol.Respawned(self.number, self.meter.guest_pid), ours)
        finally:
            self._respawning = False
            self._idle.set()
            close_all((*ours, *theirs))
            self._tree.started()

    def stop(self) -> None:
        """Stop the timers: the member ends."""
        if self._execution is not None:
            self._execution.stop()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()

    def let_go(self) -> None:
        """Close what stands for the guest."""
        close_all((self.pidfd,))
        self.pidfd = -1
