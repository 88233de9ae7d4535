"""Tool calls on the control socket: many may be out, from any thread and any event loop; each gets its own answer.

While a cell runs the host sends nothing but answers, so whoever waits for one reads for all. Of the threads that block, one
leads: it sleeps on the socket, the others on a lock of their own until it hands over. An event loop with calls out has
the socket among its readers. What is read goes to the call with its number; an answer to a call that nobody waits for any
more, or of an earlier cell, is dropped.

An interrupt may start in `_doze` and nowhere else: the methods' frames are the gate's own (`interrupts.own`), so no
state is left half changed and no lock is left held.
"""

from __future__ import annotations

import asyncio
import itertools
import select
from _thread import RLock, allocate_lock, get_ident
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from sandboxd.guest import interrupts
from sandboxd.guest.tool_errors import ToolError

if TYPE_CHECKING:
    from sandboxd.guest.frames import Channel
    from sandboxd.guest.interrupts import Gate

Answer = Dict[str, Any]
_poll, _POLLIN = select.poll, select.POLLIN
_running_loop = asyncio.get_running_loop
_PARKED_SECONDS = 0.5  # how long a sleep lasts at most: whatever went wrong, it is looked at again
_LEADING_SECONDS = 0.05
_BESIDE_LOOPS_SECONDS = 0.01  # an event loop of another thread may have read what a leader sleeps for
# Below the host's own bounds, where it stops to read: a thread that is blocked in a send hears no interrupt.
_MOST_OUT, _MOST_CHARACTERS_OUT = 60, 6 * 1024 * 1024
_OVER = {"ok": False, "error": {"code": "", "name": "CutOff", "message": "its cell has ended"}}


class Call:
    """One call on its way."""

    __slots__ = ("answer", "number", "parked", "size", "thread", "tool", "watcher")

    def __init__(self, number: int, tool: str, size: int) -> None:
        self.number, self.tool, self.size = number, tool, size
        self.answer: Optional[Answer] = None
        self.thread = 0  # which blocks until the answer is there
        self.parked: Any = None  # the lock that a blocked thread sleeps on
        self.watcher: Optional[Tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]] = None


class Calls:
    """The calls of the running cell. Its state changes under `_lock`, with interrupts held off."""

    __slots__ = ("_cell", "_channel", "_gate", "_leader", "_lock", "_loops", "_numbers", "_open")

    def __init__(self, channel: Channel, gate: Gate) -> None:
        self._channel, self._gate = channel, gate
        # Of the kind that its holder may take again: a collection may run a program's `__del__`, which may call a tool.
        self._lock = RLock()
        self._cell: Optional[str] = None
        self._numbers = itertools.count(
            1
        )  # never used again in this process: a late answer meets no other call
        self._open: Dict[int, Call] = {}
        self._leader: Optional[Call] = None
        self._loops: Dict[asyncio.AbstractEventLoop, int] = {}

    @interrupts.own
    def begin(self, cell: str) -> None:
        """Let the calls of a cell through."""
        self._cell = cell

    @interrupts.own
    def end(self) -> None:
        """End what is still out: its cell has ended. The host's next frame is the main loop's to read."""
        with self._lock:
            self._cell = self._leader = None
            for call in list(self._open.values()):
                self._settle(call, _OVER)
            self._open.clear()
            for loop in list(self._loops):
                self._ignore(loop)

    def abandon_in_child(self) -> None:
        """Forget everything in a process that a cell forked: it has no socket to speak on."""
        self._lock = RLock()
        self._cell = self._leader = None
        self._open = {}
        self._loops = {}

    @interrupts.own
    def send(self, tool: str, arguments: str) -> Call:
        """Send a call; of those that are out some are waited for where there are too many.

        Raises:
            ToolError: no cell runs, or this is a process that one forked.
        """
        call = Call(next(self._numbers), tool, len(arguments))
        while not self._gate.shielded(self._has_room, call.size):
            self._listen(_BESIDE_LOOPS_SECONDS)
        self._gate.shielded(self._send, call, arguments)
        return call

    @interrupts.own
    def wait(self, call: Call) -> Answer:
        """Block this thread until the answer is there."""
        call.thread = get_ident()
        try:
            while call.answer is None:
                if self._gate.shielded(self._lead, call):
                    self._listen(_BESIDE_LOOPS_SECONDS if self._loops else _LEADING_SECONDS)
                else:
                    _doze(call.parked.acquire, True, _PARKED_SECONDS)
        finally:
            self._gate.shielded(self._leave, call)
        return call.answer

    @interrupts.own
    def _listen(self, seconds: float) -> None:
        """Sleep on the socket, and read for all."""
        poller = _poll()
        poller.register(self._channel.fileno(), _POLLIN)
        _doze(poller.poll, seconds * 1000)
        self._gate.shielded(self._pump)

    async def join(self, call: Call) -> Answer:
        """Wait for the answer in the running event loop."""
        loop = _running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._gate.shielded(self._watch, call, loop, future)
        try:
            await future
        finally:
            self._gate.shielded(self._leave, call)
        assert call.answer is not None
        return call.answer

    # ---- under the lock -------------------------------------------------------------------------------------

    @interrupts.own
    def _send(self, call: Call, arguments: str) -> None:
        cell = self._cell
        if cell is None:
            raise ToolError(
                f"{call.tool}: no cell runs here that could call a tool, and what a cell forked has none",
                tool=call.tool,
                name="CutOff",
            )
        with self._lock:
            self._open[call.number] = call
        self._channel.send(
            {"op": "call", "id": cell, "call": call.number, "tool": call.tool, "arguments": arguments}
        )

    @interrupts.own
    def _has_room(self, size: int) -> bool:
        with self._lock:
            calls = self._open.values()
            return len(calls) < _MOST_OUT and (
                not calls or sum(call.size for call in calls) + size <= _MOST_CHARACTERS_OUT
            )

    @interrupts.own
    def _lead(self, call: Call) -> bool:
        """Become the thread that reads, or make a lock to sleep on."""
        with self._lock:
            # A signal's handler or a `__del__` calls on top of a wait of its own thread, which goes on only after it.
            if self._leader is None or self._leader.thread == call.thread:
                self._leader = call
            if self._leader is call:
                return True
            if call.parked is None:
                call.parked = allocate_lock()
                call.parked.acquire()
            return False

    @interrupts.own
    def _leave(self, call: Call) -> None:
        """Take a call off: answered, or given up, and then the host is told. Another thread leads from here on."""
        with self._lock:
            given_up = self._open.pop(call.number, None) is not None
            if call.watcher is not None:
                loop, call.watcher = call.watcher[0], None
                self._loops[loop] = self._loops.get(loop, 1) - 1
                if self._loops[loop] <= 0:
                    self._ignore(loop)
            if self._leader is call:
                self._leader = None
                parked = (other for other in self._open.values() if other.parked is not None)
                self._wake(next(parked, None))
        if given_up and self._cell is not None:
            self._channel.send({"op": "drop", "id": self._cell, "call": call.number})

    @interrupts.own
    def _watch(self, call: Call, loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
        with self._lock:
            if call.answer is not None:
                future.set_result(None)
                return
            call.watcher = loop, future
            self._loops[loop] = self._loops.get(loop, 0) + 1
            loop.add_reader(self._channel.fileno(), self._gate.shielded, self._pump)

    @interrupts.own
    def _pump(self) -> None:
        """Read what is there and hand it out."""
        with self._lock:
            if self._cell is None:
                return
            for frame in self._channel.pump():
                call = self._open.pop(frame.get("call", 0), None) if frame.get("op") == "answer" else None
                if call is not None:
                    self._settle(call, frame)

    @interrupts.own
    def _settle(self, call: Call, answer: Answer) -> None:
        call.answer = answer
        self._wake(call)
        if call.watcher is not None:
            loop, future = call.watcher
            try:
                loop.call_soon_threadsafe(_resolve, future)
            except RuntimeError:  # the loop was closed over it
                return

    @staticmethod
    @interrupts.own
    def _wake(call: Optional[Call]) -> None:
        if call is not None and call.parked is not None and call.parked.locked():
            call.parked.release()

    @interrupts.own
    def _ignore(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loops.pop(loop, None)
        try:
            loop.remove_reader(self._channel.fileno())
        except (RuntimeError, ValueError, OSError):  # it was closed, or broken by an interrupt
            return


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _doze(sleep: Callable[..., Any], *arguments: Any) -> None:
    """Sleep where an interrupt may start."""
    sleep(*arguments)
