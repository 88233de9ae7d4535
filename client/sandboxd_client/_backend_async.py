"""What the asynchronous client does its own way: channel, stream, lock, sleep. Same names as `_backend_sync`.

Tasks: one a session reads events into a mailbox, and `SessionStream.aclose` waits for it. A caller waits on
the mailbox alone, for a cancelled read of gRPC's would cancel the whole stream with it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import tempfile
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar

import grpc
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from ._channel import MAILBOX_EVENTS, OPTIONS, SHARED_MAX, WAKE, Deadline, StreamBrokenError
from ._payload import Data, append
from ._status import error_from_rpc, has_daemon_code
from .tools.calls import answer_blocking, answer_on_loop, needs_loop
from .tools.threads import ToolThreads

if TYPE_CHECKING:
    from sandboxd_proto.v1 import sandbox_pb2 as pb

    from .tools import Tool, ToolInvocation

    _Call: TypeAlias = (
        grpc.aio.StreamStreamCall[pb.SessionRequest, pb.SessionEvent]
        | grpc.aio.UnaryStreamCall[pb.RunRequest, pb.SessionEvent]
    )

_LOGGER = logging.getLogger("sandboxd_client.tools")

T = TypeVar("T")
AsyncData: TypeAlias = "Data | AsyncIterable[str | bytes]"
"""What `files.write` takes."""
Callback = Callable[[T], Awaitable[object] | object]
"""What a caller passes as on_stdout, on_stderr or on_result: a function or a coroutine function."""
Teller = Callable[[T], Awaitable[None]]
"""Hands something to the caller."""
Action = Callable[[], None]
"""Something to do at once, without waiting."""
Later = Callable[[], Awaitable[T]]
"""Gives something when called and awaited."""


class Connection:
    """One channel to one daemon and the stubs on it. A sandbox and its clones share one."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._users = 1
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self.sandbox = rpc.SandboxServiceStub(self._channel)
        self.policy = rpc.PolicyServiceStub(self._channel)

    def session_stream(self) -> SessionStream:
        """Begin a session stream."""
        return SessionStream(self.sandbox.Session())

    def run_stream(self, request: pb.RunRequest) -> SessionStream:
        """Begin a one-shot; its stream only brings events."""
        return SessionStream(self.sandbox.Run(request))

    def share(self) -> Connection:
        """Return the connection for one more user: this one, or a new one where this one has as many as it may."""
        if self._users >= SHARED_MAX:
            return Connection(self._address)
        self._users += 1
        return self

    async def aclose(self) -> None:
        """Close the channel when its last user does; calls in flight end."""
        self._users -= 1
        if not self._users:
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

    def wake(self) -> None:
        """Make whoever receives look up: it gets an event without content. A full mailbox keeps it awake as it is."""
        if not self._events.full():
            self._events.put_nowait(WAKE)

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


class ToolWorkers:
    """Runs the tools of one session: each call is a task of the loop, a function that blocks runs in a thread beside it.

    Mutable state: `_tasks`, changed on the loop alone.
    """

    def __init__(self) -> None:
        self._threads = ToolThreads()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, call_id: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin a call."""
        task = asyncio.create_task(run(), name=f"sandboxd-tool-{call_id}")
        self._tasks[call_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(call_id, None))

    async def answer(self, tool: Tool, call: ToolInvocation) -> pb.ToolResult:
        """Run a call and return its answer; a cancelled one raises."""
        if needs_loop(tool):
            return await answer_on_loop(tool, call, functools.partial(self._in_thread, call))
        answered: pb.ToolResult = await self._in_thread(call, lambda: answer_blocking(tool, call))
        return answered

    def cancel(self, call_id: str) -> None:
        """Stop a call that nobody waits for: its task is cancelled, a thread is told by the call's own event."""
        if task := self._tasks.get(call_id):
            task.cancel()

    async def settle(self, seconds: float) -> None:
        """Wait until the cancelled tasks have ended, for a bounded time."""
        others = [task for task in self._tasks.values() if task is not asyncio.current_task()]
        if others:
            _, left = await asyncio.wait(others, timeout=seconds)
            for task in left:
                _LOGGER.warning("tool runs on though its call is over task=%s", task.get_name())

    async def _in_thread(self, call: ToolInvocation, function: Callable[[], Any]) -> Any:
        ticket = self._threads.submit(function)
        try:
            return await asyncio.wrap_future(ticket.future)
        except asyncio.CancelledError:
            if self._threads.give_up(ticket):
                _LOGGER.warning(
                    "tool runs on though its call is over tool=%s call_id=%s", call.tool, call.call_id
                )
            raise


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
