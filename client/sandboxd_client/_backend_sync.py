"""What the synchronous client does its own way: channel, stream, lock, sleep. Same names as `_backend_async`.

Threads: one daemon thread a session reads events into a mailbox, so a caller only ever waits on a queue.
That wait can be interrupted by Ctrl-C without leaving gRPC in the middle of a read, and it has a time-out,
which gRPC's own has not.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import grpc
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from ._channel import MAILBOX_EVENTS, OPTIONS, Deadline, StreamBrokenError
from ._payload import Data as Data  # noqa: PLC0414 - its name here is the other half's AsyncData
from ._status import error_from_rpc, has_daemon_code

if TYPE_CHECKING:
    from sandboxd_proto.v1 import sandbox_pb2 as pb

FULL_SECONDS = 0.01
"""How often to look for room in a mailbox whose reader is far behind."""

T = TypeVar("T")
Callback = Callable[[T], object]
"""What a caller passes as on_stdout, on_stderr or on_result."""
Teller = Callable[[T], None]
"""Hands something to the caller."""
Later = Callable[[], T]
"""Gives something when called."""


class Connection:
    """One channel to one daemon and the stubs on it."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self.sandbox = rpc.SandboxServiceStub(self._channel)
        self.policy = rpc.PolicyServiceStub(self._channel)

    def session_stream(self) -> SessionStream:
        """Begin a session stream."""
        return SessionStream(self.sandbox)

    def run_stream(self, request: pb.RunRequest) -> SessionStream:
        """Begin a one-shot; its stream only brings events."""
        return SessionStream(self.sandbox, request)

    def close(self) -> None:
        """Close the channel; calls in flight end."""
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
