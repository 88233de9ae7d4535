"""What the synchronous client does its own way: channel, stream, lock, sleep. Same names as `_backend_async`.

Threads: one daemon thread a session reads events into a mailbox, so a caller only ever waits on a queue.
That wait can be interrupted by Ctrl-C without leaving gRPC in the middle of a read, and it has a time-out,
which gRPC's own has not.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from ._channel import MAILBOX_EVENTS, OPTIONS, SHARED_MAX, WAKE, Deadline, StreamBrokenError
from ._payload import Data as Data  # noqa: PLC0414 - its name here is the other half's AsyncData
from ._status import error_from_rpc, has_daemon_code
from .tools.background import run_in_background
from .tools.calls import answer_blocking, answer_on_loop, needs_loop
from .tools.threads import Ticket, ToolThreads

if TYPE_CHECKING:
    from sandboxd_proto.v1 import sandbox_pb2 as pb

    from .tools import Tool, ToolInvocation

_LOGGER = logging.getLogger("sandboxd_client.tools")

FULL_SECONDS = 0.01
"""How often to look for room in a mailbox whose reader is far behind."""

T = TypeVar("T")
Callback = Callable[[T], object]
"""What a caller passes as on_stdout, on_stderr or on_result."""
Teller = Callable[[T], None]
"""Hands something to the caller."""
Action = Callable[[], None]
"""Something to do at once, without waiting."""
Later = Callable[[], T]
"""Gives something when called."""


class Connection:
    """One channel to one daemon and the stubs on it. A sandbox and its clones share one; `_lock` guards their number."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._users = 1
        self._lock = threading.Lock()
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self.sandbox = rpc.SandboxServiceStub(self._channel)
        self.policy = rpc.PolicyServiceStub(self._channel)

    def session_stream(self) -> SessionStream:
        """Begin a session stream."""
        return SessionStream(self.sandbox)

    def run_stream(self, request: pb.RunRequest) -> SessionStream:
        """Begin a one-shot; its stream only brings events."""
        return SessionStream(self.sandbox, request)

    def share(self) -> Connection:
        """Return the connection for one more user: this one, or a new one where this one has as many as it may."""
        with self._lock:
            if self._users < SHARED_MAX:
                self._users += 1
                return self
        return Connection(self._address)

    def close(self) -> None:
        """Close the channel when its last user does; calls in flight end."""
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            self._channel.close()


class SessionStream:
    """The session stream. Anyone may send; one at a time may receive.

    Mutable state: `_requests` and `_events` are queues with locks of their own; `_unpacked` belongs to who
    receives; `_broken` is written once, by the pump.
    """

    def __init__(self, stub: rpc.SandboxServiceStub, run: pb.RunRequest | None = None) -> None:
        self._takes_requests = run is None
        self._requests: queue.SimpleQueue[pb.SessionRequest | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[pb.SessionEvent | None] = queue.SimpleQueue()
        self._unpacked: deque[pb.SessionEvent] = deque()
        self._broken: StreamBrokenError | None = None
        self._closed = threading.Event()
        self._call = stub.Session(iter(self._requests.get, None)) if run is None else stub.Run(run)
        self._pump = threading.Thread(target=self._run, name="sandboxd-session", daemon=True)
        self._pump.start()

    @property
    def broken(self) -> bool:
        """Say whether the stream is known to have ended."""
        return self._broken is not None

    def send(self, request: pb.SessionRequest) -> None:
        """Hand a request to the connection; whether it arrived only an answer tells.

        Raises:
            StreamBrokenError: a one-shot's stream takes none.
        """
        if not self._takes_requests:
            raise StreamBrokenError
        self._requests.put(request)

    def receive(self, deadline: Deadline) -> pb.SessionEvent:
        """Return the next event.

        Raises:
            StreamBrokenError: the stream ended and every event before that was received.
            TimeoutError: none came before the deadline.
        """
        if self._unpacked:
            return self._unpacked.popleft()
        if self._broken is not None and self._events.empty():
            raise self._broken
        try:
            event = self._events.get(timeout=deadline.remaining())
        except queue.Empty:
            raise TimeoutError from None
        if event is None:
            raise self._broken or StreamBrokenError
        self._unpacked.extend(event.more)
        return event

    def wake(self) -> None:
        """Make whoever receives look up: it gets an event without content."""
        self._events.put(WAKE)

    def close(self) -> None:
        """End the stream, at once."""
        self._closed.set()
        self._call.cancel()
        self._requests.put(None)
        if self._pump is not threading.current_thread():
            self._pump.join(timeout=2.0)

    def _run(self) -> None:
        broken = StreamBrokenError()
        try:
            for event in self._call:
                if not self._put(event):
                    break
        except grpc.RpcError as error:
            broken = StreamBrokenError(error_from_rpc(error) if has_daemon_code(error) else None)
        finally:
            self._broken = broken
            self._requests.put(None)  # gRPC's own thread waits for the next request until then
            self._events.put(None)

    def _put(self, event: pb.SessionEvent) -> bool:
        """Wait for room, as long as somebody may still read."""
        while (
            self._events.qsize() >= MAILBOX_EVENTS
        ):  # rare: a queue that knows its bound costs every event more
            if self._closed.wait(FULL_SECONDS):
                return False
        self._events.put(event)
        return not self._closed.is_set()


class ToolWorkers:
    """Runs the tools of one session: each call in a thread, a coroutine function on the process's background loop.

    Mutable state: `_tickets` and `_futures`, dictionaries whose single operations are atomic.
    """

    def __init__(self) -> None:
        self._threads = ToolThreads()
        self._inner = ToolThreads()  # for the loop: those above may all be waiting for it
        self._tickets: dict[str, Ticket] = {}
        self._futures: dict[str, concurrent.futures.Future[pb.ToolResult]] = {}

    def start(self, call_id: str, run: Callable[[], None]) -> None:
        """Begin a call."""
        ticket = self._threads.submit(run)
        self._tickets[call_id] = ticket
        ticket.future.add_done_callback(lambda _: self._tickets.pop(call_id, None))

    def answer(self, tool: Tool, call: ToolInvocation) -> pb.ToolResult:
        """Run a call and return its answer; a cancelled one raises."""
        if not needs_loop(tool):
            return answer_blocking(tool, call)
        future = run_in_background(answer_on_loop(tool, call, functools.partial(self._in_thread, call)))
        self._futures[call.call_id] = future
        try:
            if call.cancelled.is_set():  # before there was a future to cancel
                future.cancel()
            return future.result()
        finally:
            self._futures.pop(call.call_id, None)

    def cancel(self, call_id: str) -> None:
        """Stop a call that nobody waits for: a coroutine is cancelled, a thread is told by the call's own event."""
        future, ticket = self._futures.get(call_id), self._tickets.get(call_id)
        if future is not None:
            future.cancel()
        elif ticket is not None and self._threads.give_up(ticket):
            _LOGGER.warning("tool runs on though its call is over call_id=%s", call_id)

    def settle(self, seconds: float) -> None:
        """Wait for nothing: what can be stopped has been, and a thread ends when its function does."""

    async def _in_thread(self, call: ToolInvocation, function: Callable[[], Any]) -> Any:
        ticket = self._inner.submit(function)
        try:
            return await asyncio.wrap_future(ticket.future)
        except asyncio.CancelledError:
            if self._inner.give_up(ticket):
                _LOGGER.warning(
                    "tool runs on though its call is over tool=%s call_id=%s", call.tool, call.call_id
                )
            raise


class Turn:
    """A lock with a time limit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def take(self, seconds: float) -> bool:
        """Take the turn within `seconds`, at once for 0; say whether that worked."""
        return self._lock.acquire(timeout=seconds) if seconds > 0 else self._lock.acquire(blocking=False)

    def give(self) -> None:
        """Give the turn back."""
        self._lock.release()


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def in_thread(function: Callable[[], T]) -> T:
    """Run a function that blocks."""
    return function()


def gather(data: Data) -> Data:
    """Bring what `files.write` was given into a form that can be read twice: `Payload` does."""
    return data


def tell(callback: Callback[T], value: T) -> None:
    """Call what the caller gave."""
    callback(value)
