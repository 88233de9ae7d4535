"""One container, spoken to as the launcher is: so sessions, runs and files of the process tier work in it unchanged.

`ProcessBox` and `Run` send the launcher's messages. Here each becomes what a container has for it: clocks that run in this
process, orders to init, verbs of the broker. What the guest's init says is a claim, apart from a wait status that can cost a
session nothing but its own guest; time, CPU and memory come from this side and from the kernel's counters.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Limits
from sandboxd.executors.container_death import death_with, reading
from sandboxd.executors.container_files import ContainerFiles
from sandboxd.executors.container_pipes import Inward, Outward
from sandboxd.executors.container_stream import Stream
from sandboxd.jail import mux
from sandboxd.launcher import protocol
from sandboxd.launcher.death import tell_death
from sandboxd.launcher.ends import close_all, guest_ends
from sandboxd.launcher.execution import Execution, Reins
from sandboxd.launcher.meter import Meter, Reading

Reply = TypeVar("Reply", bound=protocol.LauncherMessage)
LEASE_SECONDS = 5.0  # between two words; init ends after four times as long without one
READY_SECONDS = 60.0  # to import what an image preloads, on a busy host
HOLD_SECONDS = 0.25  # for which a result waits for the output before it, where that is read slowly
SAMPLE_SECONDS = 0.025  # between two readings of counters that go with the container
# For init to kill the guest; then the engine kills the container. A client waits 2 s beyond deadline and grace for a result.
SWEEP_SECONDS = 1.25
_GUEST_CHANNELS = (mux.CONTROL, mux.STDOUT, mux.STDERR)
Stop = Callable[[], Awaitable[tuple[bool, int]]]


class Occupant(Protocol):
    """What a box has to hear."""

    def guest_died(self, message: protocol.GuestDied) -> None:
        """The interpreter is gone."""

    def ending(self, message: protocol.Ending) -> None:
        """The execution is made to end."""

    def respawned(self, message: protocol.Respawned, fds: list[int]) -> None:
        """The next interpreter is there."""

    def lost(self, reason: str) -> None:
        """The container is gone."""


class ContainerLink:
    """One container on the event loop.

    Args:
        stream: the attached socket; owned from here on.
        counters: descriptors by name; owned from here on.
        stop: kills and removes the container by the broker; returns what the engine says of its end.
        mortal: a limit can end the whole container, counters and all, so they are read while a cell runs.
    """

    def __init__(self, stream: Any, counters: dict[str, int], stop: Stop, *, mortal: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = stop
        self._numbers = itertools.count(1)
        self.counters = counters
        self._meter = Meter(counters)
        self._limits: Limits | None = None
        self._box: Occupant | None = None
        self.on_gone: Callable[[], None] = lambda: (
            None
        )  # told of an end that nobody asked for, where no box is
        self._execution: Execution | None = None
        self._mortal = mortal
        self._sampled = Reading()
        self._sampler: asyncio.TimerHandle | None = None
        self._resting = False
        self._inward: dict[int, Inward] = {}
        self._control: Outward | None = None
        self._held = bytearray()  # of the control socket, behind output that is not passed on yet
        self._hold_timer: asyncio.TimerHandle | None = None
        self.fds: list[int] = []  # the present guest's, until a box takes them
        self.python, self.report = "", ""
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._spoke = False
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._ended = ""
        self._ending: asyncio.Task[tuple[bool, int]] | None = None
        self._stream = Stream(
            stream, on_order=self._on_order, on_data=self._on_data, on_room=self._on_room, on_end=self._on_end
        )
        self._files = ContainerFiles(self._stream)
        self._lease = self._loop.call_later(LEASE_SECONDS, self._renew)

    @property
    def healthy(self) -> bool:
        """Tell whether the container still runs."""
        return not self._ended

    async def start(self, order: mux.Order) -> None:
        """Have init warm up and start the guest; wait until that is ready for its first cell.

        Raises:
            SandboxdError: JAIL_FAILED, ENVIRONMENT_FAILED.
        """
        self._stream.order({**order, "op": "start"})
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._started
        except TimeoutError:
            raise SandboxdError(
                Code.JAIL_FAILED, f"The container was not ready within {READY_SECONDS:g} s."
            ) from None

    def occupy(self, box: Occupant, limits: Limits) -> None:
        """Let a box have the container."""
        self._box, self._limits = box, limits

    # ---- what the launcher's link has -----------------------------------------------------------------------

    def number(self) -> int:
        """Return a fresh request number."""
        return next(self._numbers)

    def hear(self) -> None:
        """Take what was said by now. Causes are decided in this process: there is nothing to be told of them."""

    def tell(self, message: protocol.FrontMessage) -> None:
        """Do what a message without a reply asks for."""
        if isinstance(message, protocol.Begin):
            self._begin(message)
        elif isinstance(message, protocol.End):
            self._end(message.execution)
        elif isinstance(message, protocol.Interrupt):
            if self._execution is not None and self._execution.number == message.execution:
                self._execution.end(message.cause, message.code)
        elif isinstance(message, protocol.Pause | protocol.Resume):
            if self._execution is not None and self._execution.number == message.execution:
                (self._execution.pause if isinstance(message, protocol.Pause) else self._execution.resume)()
        elif isinstance(message, protocol.Close):
            self.end()

    async def ask(self, message: Any, kind: type[Reply], _: object = None) -> tuple[Reply, list[int]]:
        """Carry out a request.

        Raises:
            SandboxdError: FORK_REFUSED for what containers do not have yet.
        """
        fds: list[int] = []
        if isinstance(message, protocol.End):
            self._end(message.execution)
            reply: protocol.LauncherMessage = protocol.Stopped(message.request)
        elif isinstance(message, protocol.File):
            reply, fds = await self._files.ask(message)
        elif isinstance(message, protocol.Close):
            await asyncio.shield(self.end())
            reply = protocol.Closed(message.request)
        else:
            raise SandboxdError(
                Code.FORK_REFUSED,
                f"Containers cannot {message.op} a session.",
                remedy="Use a policy with isolate.executor: process for it.",
            )
        assert isinstance(reply, kind)
        return reply, fds

    # ---- executions -----------------------------------------------------------------------------------------

    def _begin(self, message: protocol.Begin) -> None:
        assert self._limits is not None
        if self._resting:
            self._resting = False
            self._stream.order({"op": "wake"})
        if self._execution is not None:
            self._execution.stop()
        self._meter.note_peak()
        number = message.execution
        self._execution = Execution(
            number,
            deadline_seconds=message.deadline_seconds,
            grace_seconds=self._limits.grace_seconds,
            cpu_seconds=self._limits.cpu_seconds,
            wait_seconds=self._limits.tool_wait_seconds,
            before=Reading(**message.before),  # type: ignore[arg-type]  # the fields that `counters` names
            meter=self._meter,
            reins=Reins(
                lambda cause, code: self._announce(number, cause, code),
                lambda: self._stream.order({"op": "interrupt"}),
                self._kill_guest,
            ),
        )

        self._stop_sampling()
        if self._mortal:
            self._sample()

    def _sample(self) -> None:
        if self._execution is not None:
            self._sampled = reading(self._execution, self._sampled)
            self._sampler = self._loop.call_later(SAMPLE_SECONDS, self._sample)

    def _stop_sampling(self) -> None:
        self._sampled = Reading()
        if self._sampler is not None:
            self._sampler.cancel()
            self._sampler = None

    def _announce(self, number: int, cause: str, code: str) -> None:
        if self._box is not None:
            self._box.ending(protocol.Ending(0, number, cause, code))

    def _end(self, number: int) -> None:
        if self._execution is not None and self._execution.number == number:
            self._execution.stop()
            self._execution = None
            self._stop_sampling()
            self._resting = True
            self._stream.order({"op": "rest"})

    def _kill_guest(self) -> None:
        self._stream.order({"op": "kill"})
        self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._unswept)

    def _unswept(self) -> None:
        """Init did not kill its guest. The engine is not asked why first: if it hangs, that is why."""
        self._on_end("init did not kill its guest", ask_engine=False)

    # ---- hearing --------------------------------------------------------------------------------------------

    def _on_order(self, order: mux.Order) -> None:
        op = order["op"]
        if op == "started":
            self._guest_started(order)
        elif op == "guest_exit":
            self._guest_exit(int(order["status"]))
        elif op == "file":
            self._files.told(order)
        elif op == "end":
            self._files.ended(int(order["channel"]))
        elif op == "dropped":
            self._files.dropped(int(order["channel"]))
        else:
            raise ValueError("an order of no kind")

    def _on_data(self, channel: int, data: bytes) -> None:
        inward = self._inward.get(channel)
        if channel == mux.CONTROL and inward is not None:
            self._take_control(data)
        elif inward is not None:
            inward.take(data)
        elif channel not in _GUEST_CHANNELS:
            self._files.data(channel, data)
        if channel == mux.CONTROL and not self._spoke:
            self._spoke = True  # "ready": it has rehearsed a cell
            if not self._started.done():
                self._started.set_result(None)

    def _take_control(self, data: bytes) -> None:
        """Pass a result on behind what was printed before it."""
        self._held += data
        if all(self._inward[channel].idle for channel in (mux.STDOUT, mux.STDERR)):
            self._let_control_go()
        elif self._hold_timer is None:
            self._hold_timer = self._loop.call_later(HOLD_SECONDS, self._let_control_go)

    def _let_control_go(self) -> None:
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        if self._held and mux.CONTROL in self._inward:
            held, self._held = bytes(self._held), bytearray()
            self._inward[mux.CONTROL].take(held)

    def _output_idle(self) -> None:
        if self._held and all(self._inward[c].idle for c in (mux.STDOUT, mux.STDERR) if c in self._inward):
            self._let_control_go()

    def _on_room(self, channel: int) -> None:
        if channel == mux.CONTROL and self._control is not None:
            self._control.room()
        else:
            self._files.room(channel)

    def _guest_started(self, order: mux.Order) -> None:
        self.python, self.report = str(order["python"])[:40], str(order["report"])[:500]
        if "error=" in self.report or not self.report:
            self._fail(f"The guest could not be locked down: {self.report}")
            return
        for channel in _GUEST_CHANNELS:
            self._stream.forget(channel)
        front, inside = guest_ends()
        self._inward = {
            channel: Inward(self._stream, channel, fd, on_idle=self._output_idle)
            for channel, fd in zip(_GUEST_CHANNELS, inside, strict=True)
        }
        self._control = Outward(self._stream, mux.CONTROL, os.dup(inside[0]))
        if self._box is None:
            self.fds = list(front)
        else:
            self._box.respawned(protocol.Respawned(0, 0), list(front))

    def _guest_exit(self, status: int) -> None:
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        execution, self._execution = self._execution, None
        died = tell_death(0, status, execution)
        if self._box is None:
            self._fail("The guest ended before it was used.")
            self.on_gone()
            return
        self._let_control_go()  # what it claimed before it died
        self._box.guest_died(died)
        self._close_guest()
        self._resting = False
        self._stream.order({"op": "respawn"})

    def _close_guest(self) -> None:
        self._let_control_go()
        for inward in self._inward.values():
            inward.close()
        self._inward.clear()
        if self._control is not None:
            self._control.close()
            self._control = None

    def _renew(self) -> None:
        self._stream.order({"op": "lease"})
        self._lease = self._loop.call_later(LEASE_SECONDS, self._renew)

    # ---- ending ---------------------------------------------------------------------------------------------

    def _fail(self, reason: str) -> None:
        if not self._started.done():
            self._started.set_exception(SandboxdError(Code.JAIL_FAILED, reason))
            self._started.exception()
        self.end()

    def _on_end(self, reason: str, *, ask_engine: bool = True) -> None:
        """The container is gone, or is to go, without anybody having asked for it."""
        if self._ended:
            return
        said, execution = self._stream.diagnostics, self._execution
        used = reading(execution, self._sampled) if execution is not None else Reading()
        ending = self.end()
        if self._box is None:
            self.on_gone()
        self._fail(f"The container ended: {reason}. {said[:500]}".strip())
        if ask_engine:
            ending.add_done_callback(
                lambda done: self._tell_lost(reason, execution, used, oom=_ran_out(done))
            )
        else:
            self._tell_lost(reason, execution, used, oom=False)

    def _tell_lost(self, reason: str, execution: Execution | None, used: Reading, *, oom: bool) -> None:
        if self._box is None:
            return
        if execution is not None and (death := death_with(execution, used, oom=oom)) is not None:
            self._box.guest_died(death)
        self._box.lost(reason)

    def end(self) -> asyncio.Task[tuple[bool, int]]:
        """End the container and all that belongs to it here; the task ends when nothing of it is left. Idempotent."""
        if self._ending is None:
            self._ended = "closed"
            if self._execution is not None:
                self._execution.stop()
                self._execution = None
            if self._sweep_timer is not None:
                self._sweep_timer.cancel()
            self._stop_sampling()
            self._lease.cancel()
            self._stream.close()
            self._files.close()
            self._close_guest()
            close_all((*self.fds, *self.counters.values()))
            self.fds, self.counters = [], {}
            self._ending = self._loop.create_task(self._removed())
        return self._ending

    async def _removed(self) -> tuple[bool, int]:
        return await self._stop()


def _ran_out(ending: asyncio.Task[tuple[bool, int]]) -> bool:
    return not ending.cancelled() and ending.exception() is None and ending.result()[0]
