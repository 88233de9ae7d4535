"""Running code in a sandbox: what `AsyncSandbox` does with a session once it has one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client import _decode
from sandboxd_client._backend_async import Callback, tell
from sandboxd_client._gather import Piece, execution_from_log
from sandboxd_client._status import rpc_errors
from sandboxd_client.errors import NotStartedError, SandboxError

from .flight import AsyncFlight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxd_client.results import Execution, Result

    from .session import AsyncSession

MARGIN_SECONDS = 2.0
"""What a call may take beyond deadline, grace and the daemon's own tolerance, for the way there and back."""


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
        execution_id: str | None = None,
        idempotent: bool = False,
    ) -> Execution:
        """Run code to its end, at most once, and return what came of it; a program that fails is a result.

        It returns or raises within its deadline, its grace and a few seconds. When it is left early
        (Ctrl-C, a cancelled task, an exception from a callback) the code is interrupted first.

        Args:
            code: Python source.
            timeout: seconds; None or 0 is the policy's limit, which it may only narrow.
            on_stdout: called with each piece of text as it is printed.
            on_stderr: the same for standard error.
            on_result: called with each displayed value.
            execution_id: 8 to 64 characters of [A-Za-z0-9_-]; made up when not given. A repeat of the same id
                and code is answered from the daemon's log.
            idempotent: send the code once more when the connection broke and the daemon has no record of it.

        Raises:
            NotStartedError: nothing ran; safe to try again, also elsewhere.
            InDoubtError: it may have run: ask with `get_execution`, never run it again unasked.
            SessionLostError: variables and files are gone.
        """
        execute = _decode.execute_message(code, timeout, execution_id)
        session = await self._ready()
        flight = AsyncFlight(
            session,
            execute,
            functools.partial(
                tell_listeners, {"stdout": on_stdout, "stderr": on_stderr, "result": on_result}
            ),
            bound_seconds=bound_seconds(session.opened, timeout),
            idempotent=idempotent,
        )
        if not await session.turn.take(0):
            raise _busy()
        try:
            session.running = execute.execution_id
            return await flight.run()
        except BaseException as error:
            # Ctrl-C, a cancelled task, or the caller's own callback failed: nothing may run on unseen.
            if flight.told_badly or not isinstance(error, SandboxError):
                await flight.abandon()
            raise
        finally:
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


async def tell_listeners(
    listeners: Mapping[str, Callback[str] | Callback[Result] | None], piece: Piece
) -> None:
    """Hand a piece to the caller's function for it."""
    kind, value = piece
    listener = listeners[kind]
    if listener is not None:
        await tell(listener, value)  # type: ignore[arg-type]  # a piece's kind says its type


def _busy() -> NotStartedError:
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
