"""Running code in a sandbox: what `AsyncSandbox` does with a session once it has one."""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client import _decode
from sandboxd_client._backend_async import Callback, tell
from sandboxd_client._gather import execution_from_log
from sandboxd_client._status import rpc_errors
from sandboxd_client.errors import NotStartedError, SandboxError
from sandboxd_client.stream_events import (
    Display,
    Finished,
    Stderr,
    Stdout,
    StreamEvent,
    ToolFinished,
    ToolStarted,
)

from .flight import AsyncFlight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sandboxd_client._backend_async import Teller
    from sandboxd_client.info import OnError
    from sandboxd_client.results import Execution, Result

    from .session import AsyncSession

MARGIN_SECONDS = 2.0
"""What a call may take beyond deadline, grace and the daemon's own tolerance, for the way there and back."""
UNDO_SECONDS = 20.0
"""What the daemon gives to a checkpoint before a snippet and the way back to it: a work directory is copied each time."""


class AsyncRunning:
    """The part of a sandbox that runs code. `AsyncSandbox` brings the session."""

    _session: AsyncSession | None
    _request_seconds: float

    async def _ready(self) -> AsyncSession:
        """Return the session, opened."""
        raise NotImplementedError

    async def run_code(
        self,
        code: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the daemon keeps it
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
        on_result: Callback[Result] | None = None,
        on_tool_call: Callback[ToolStarted | ToolFinished] | None = None,
        execution_id: str | None = None,
        idempotent: bool = False,
        on_error: OnError = "keep",
    ) -> Execution:
        """Run code to its end, at most once, and return what came of it; a program that fails is a result.

        It returns or raises within its deadline, its grace and a few seconds; where it calls tools, within the time that
        the policy lets it wait for them more. When it is left early (Ctrl-C, a cancelled task, an exception from a
        callback) code and tools are stopped first.

        Args:
            code: Python source.
            timeout: seconds; None or 0 is the policy's limit, which it may only narrow.
            on_stdout: called with each piece of text as it is printed.
            on_stderr: the same for standard error.
            on_result: called with each displayed value.
            on_tool_call: called when a tool begins, and when it has ended.
            execution_id: 8 to 64 characters of [A-Za-z0-9_-]; made up when not given. A repeat of the same id
                and code is answered from the daemon's log.
            idempotent: send the code once more when the connection broke and the daemon has no record of it.
            on_error: "rollback": any outcome but ok leaves no trace in variables and files, and `rolled_back` says so. It
                costs a clone before the code starts; where none can be made, nothing starts.

        Raises:
            NotStartedError: nothing ran; safe to try again, also elsewhere.
            InDoubtError: it may have run: ask with `get_execution`, never run it again unasked.
            SessionLostError: variables and files are gone.
        """
        execute = _decode.execute_message(code, timeout, execution_id, on_error)
        teller = functools.partial(tell_listeners, listeners(on_stdout, on_stderr, on_result, on_tool_call))
        flight = await self._take_off(execute, teller, timeout, idempotent=idempotent)
        try:
            return await flight.run()
        except BaseException as error:
            await _leave(flight, error)
            raise
        finally:
            await self._land()

    async def stream_code(
        self,
        code: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the daemon keeps it
        execution_id: str | None = None,
        on_error: OnError = "keep",
    ) -> AsyncIterator[StreamEvent]:
        """Run code as `run_code` does, and give what it tells, event by event, while it runs; `Finished` is the last.

        An iterator that is left early (break, an exception; `aclose` ends it at once) stops code and tools. While nobody
        asks for the next event, no further call of a tool begins.

        Args:
            code: Python source.
            timeout: seconds; None or 0 is the policy's limit, which it may only narrow.
            execution_id: as for `run_code`.
            on_error: as for `run_code`.

        Raises:
            NotStartedError, InDoubtError, SessionLostError: as for `run_code`.
        """
        execute = _decode.execute_message(code, timeout, execution_id, on_error)
        told: deque[StreamEvent] = deque()
        flight = await self._take_off(execute, functools.partial(_keep, told), timeout, idempotent=False)
        try:
            await flight.begin()
            execution = None
            while execution is None:
                execution = await flight.advance()
                while told:
                    yield told.popleft()
            yield Finished(execution)
        except BaseException as error:
            await _leave(flight, error)
            raise
        finally:
            await self._land()

    async def _take_off(
        self,
        execute: pb.Execute,
        teller: Teller[StreamEvent],
        timeout: float | None,  # noqa: ASYNC109 - the daemon keeps it
        *,
        idempotent: bool,
    ) -> AsyncFlight:
        """Take the turn for an execution."""
        session = await self._ready()
        undo = UNDO_SECONDS if execute.on_error == pb.ON_ERROR_ROLLBACK else 0.0
        flight = AsyncFlight(
            session,
            execute,
            teller,
            bound_seconds=bound_seconds(session.opened, timeout) + undo,
            idempotent=idempotent,
        )
        if not await session.turn.take(0):
            raise busy_error()
        session.running = execute.execution_id
        session.desk.notices.clear()  # a tool's thread may have come to its end after its snippet
        return flight

    async def _land(self) -> None:
        """Give the turn back."""
        session = self._session
        assert session is not None
        session.running = ""
        session.turn.give()

    async def interrupt(self) -> bool:
        """Interrupt what runs, as Ctrl-C would; say whether something ran. `run_code` returns its outcome."""
        return self._session is not None and await self._session.interrupt()

    async def get_execution(self, execution_id: str) -> Execution | None:
        """Ask what became of an execution; None while it runs. The way out of an InDoubtError, for 24 hours.

        Raises:
            RefusedError: EXECUTION_NOT_FOUND: the daemon has no record of it.
        """
        session = await self._ready()
        request = pb.GetExecutionRequest(execution_id=execution_id)
        with rpc_errors():
            record = await session.connection.sandbox.GetExecution(request, timeout=self._request_seconds)
        return execution_from_log(record) if record.state == pb.EXECUTION_STATE_FINISHED else None


Listeners: TypeAlias = "Mapping[type[StreamEvent], Callback[Any] | None]"


def listeners(
    on_stdout: Callback[str] | None,
    on_stderr: Callback[str] | None,
    on_result: Callback[Result] | None,
    on_tool_call: Callback[ToolStarted | ToolFinished] | None = None,
) -> Listeners:
    """Return which of the caller's functions hears of which event."""
    return {
        Stdout: on_stdout,
        Stderr: on_stderr,
        Display: on_result,
        ToolStarted: on_tool_call,
        ToolFinished: on_tool_call,
    }


async def tell_listeners(listeners: Listeners, event: StreamEvent) -> None:
    """Hand an event to the caller's function for it: its content, or of a tool the whole event."""
    listener = listeners.get(type(event))
    if listener is None:
        return
    match event:
        case Stdout() | Stderr():
            await tell(listener, event.text)
        case Display():
            await tell(listener, event.result)
        case _:
            await tell(listener, event)


async def _keep(told: deque[StreamEvent], event: StreamEvent) -> None:
    told.append(event)


async def _leave(flight: AsyncFlight, error: BaseException) -> None:
    """Ctrl-C, a cancelled task, an iterator left, or the caller's own callback failed: nothing may run on unseen."""
    if flight.told_badly or not isinstance(error, SandboxError):
        await flight.abandon()
    else:
        flight.stop_tools()


def busy_error() -> NotStartedError:
    """Return the error for a sandbox that runs code already."""
    return NotStartedError(
        "SESSION_BUSY",
        "Another execution runs in this sandbox.",
        remedy="Wait for it or open a second one.",
    )


def bound_seconds(opened: pb.Opened, timeout: float | None) -> float:
    """Return how long a call may take in all: the daemon keeps deadline + grace + max(5 %, 50 ms)."""
    wall = opened.limits.wall_seconds
    deadline = min(timeout, wall) if timeout and wall else timeout or wall
    return deadline + opened.grace_seconds + max(0.05 * deadline, 0.05) + MARGIN_SECONDS
