"""What the asynchronous client does its own way: channel, stream, lock, sleep. Same names as `_backend_sync`.

Tasks: one a session reads events into a mailbox, and `SessionStream.aclose` waits for it. A caller waits on
the mailbox alone, for a cancelled read of gRPC's would cancel the whole stream with it.
"""

from __future__ import annotations

import asyncio
import inspect
import tempfile
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import IO, TYPE_CHECKING, TypeAlias, TypeVar

import grpc
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from ._channel import MAILBOX_EVENTS, OPTIONS, Deadline, StreamBrokenError
from ._payload import Data, append
from ._status import error_from_rpc, has_daemon_code

if TYPE_CHECKING:
    from sandboxd_proto.v1 import sandbox_pb2 as pb

    _Call: TypeAlias = (
        grpc.aio.StreamStreamCall[pb.SessionRequest, pb.SessionEvent]
        | grpc.aio.UnaryStreamCall[pb.RunRequest, pb.SessionEvent]
    )

T = TypeVar("T")
AsyncData: TypeAlias = "Data | AsyncIterable[str | bytes]"
"""What `files.write` takes."""
Callback = Callable[[T], Awaitable[object] | object]
"""What a caller passes as on_stdout, on_stderr or on_result: a function or a coroutine function."""
Teller = Callable[[T], Awaitable[None]]
"""Hands something to the caller."""
Later = Callable[[], Awaitable[T]]
"""Gives something when called and awaited."""


class Connection:
    """One channel to one daemon and the stubs on it."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self.sandbox = rpc.SandboxServiceStub(self._channel)
        self.policy = rpc.PolicyServiceStub(self._channel)

    def session_stream(self) -> SessionStream:
        """Begin a session stream."""
        return SessionStream(self.sandbox.Session())

    def run_stream(self, request: pb.RunRequest) -> SessionStream:
        """Begin a one-shot; its stream only brings events."""
        return SessionStream(self.sandbox.Run(request))

    async def aclose(self) -> None:
        """Close the channel; calls in flight end."""
        await self._channel.close()


class SessionStream:
    """The session stream. Anyone on the loop may send; one at a time may receive.

    Mutable state: `_events` is the mailbox, `_unpacked` belongs to who receives, `_broken` is written once by
    the pump, `_writing` serialises writes.
    """

    def __init__(self, call: _Call) -> None:
        self._events: asyncio.Queue[pb.SessionEvent | None] = asyncio.Queue(MAILBOX_EVENTS)
        self._unpacked: deque[pb.SessionEvent] = deque()
        self._broken: StreamBrokenError | None = None
        self._writing = asyncio.Lock()
        self._call = call
        self._pump = asyncio.create_task(self._run(), name="sandboxd-session")

    @property
    def broken(self) -> bool:
        """Say whether the stream is known to have ended."""
        return self._broken is not None

    async def send(self, request: pb.SessionRequest) -> None:
        """Hand a request to the connection; whether it arrived only an answer tells.

        Raises:
            StreamBrokenError: a one-shot's stream takes none.
        """
        if not isinstance(self._call, grpc.aio.StreamStreamCall):
            raise StreamBrokenError
        try:
            async with self._writing:
                await self._call.write(request)
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # the pump sees the same end and says so to whoever receives

    async def receive(self, deadline: Deadline) -> pb.SessionEvent:
        """Return the next event.

        Raises:
            StreamBrokenError: the stream ended and every event before that was received.
            TimeoutError: none came before the deadline.
        """
        if self._unpacked:
            return self._unpacked.popleft()
        if self._broken is not None and self._events.empty():
            raise self._broken
        async with asyncio.timeout(deadline.remaining()):
            event = await self._events.get()
        if event is None:
            raise self._broken or StreamBrokenError
        self._unpacked.extend(event.more)
        return event

    async def aclose(self) -> None:
        """End the stream, at once."""
        self._call.cancel()
        self._pump.cancel()
        await asyncio.wait([self._pump])

    async def _run(self) -> None:
        broken = StreamBrokenError()
        try:
            async for event in self._call:
                await self._events.put(event)
        except grpc.RpcError as error:
            broken = StreamBrokenError(error_from_rpc(error) if has_daemon_code(error) else None)
        finally:
            self._broken = broken
            if not self._events.full():
                self._events.put_nowait(None)


class Turn:
    """A lock with a time limit."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def take(self, seconds: float) -> bool:
        """Take the turn within `seconds`, at once for 0; say whether that worked."""
        if seconds <= 0 and self._lock.locked():
            return False
        try:
            async with asyncio.timeout(max(seconds, 0.1)):
                await self._lock.acquire()
        except TimeoutError:
            return False
        return True

    def give(self) -> None:
        """Give the turn back."""
        self._lock.release()


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


async def in_thread(function: Callable[[], T]) -> T:
    """Run a function that blocks, beside the loop."""
    return await asyncio.to_thread(function)


async def gather(data: AsyncData) -> Data:
    """Bring what `files.write` was given into a form that can be read twice; only an asynchronous iterator is in none."""
    if not isinstance(data, AsyncIterable):
        return data
    file: IO[bytes] = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        async for piece in data:
            await asyncio.to_thread(append, file, piece)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


async def tell(callback: Callback[T], value: T) -> None:
    """Call what the caller gave, and wait for it when it is a coroutine."""
    answer = callback(value)
    if inspect.isawaitable(answer):
        await answer
