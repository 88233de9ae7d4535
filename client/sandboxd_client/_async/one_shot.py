"""One program, one sandbox: opened for it, closed after it, and under the policy that takes it.

A sandbox keeps the policy it was opened with. A one-shot is opened when its code is known, so where its policy routes the
code to another one (`route`), the daemon opens it there: never with a weaker isolation or with wider limits than asked for.

It is sent once, with the daemon's `Run`. When that stream breaks in mid-execution, the session behind it is attached to as
any other, so the end is found out in the same way: see `flight.py`. Before the daemon has said what it opened there is no
session to ask, and the failure is an InDoubtError unless the daemon refused or nobody listened.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client import _decode
from sandboxd_client._backend_async import Callback, Connection
from sandboxd_client._channel import Deadline, StreamBrokenError, check_address
from sandboxd_client.errors import ClientCode, InDoubtError, SandboxError, SessionLostError, not_started

from .flight import ABANDON_SECONDS, AsyncFlight
from .running import bound_seconds, listeners, tell_listeners
from .sandbox import OPEN_SECONDS, find_address
from .session import AsyncSession

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxd_client.info import Limits
    from sandboxd_client.results import Execution, Result

END_SECONDS = 1.0
"""How long the daemon may take to end the call after its result."""


class AsyncOneShot:
    """Runs programs, each in a sandbox of its own that ends with it. Holds no connection: use it as often as wanted.

    It has no tools: nothing can be answered on its stream. Code that calls some needs a `Sandbox`.

    Args:
        policy: the policy's name; "" is the daemon's default.
        address: the daemon's, `unix:/path`; without it as for a sandbox.
        limits: narrower limits than the policy's; they hold wherever the code runs.
        labels: for the operator's lists; no secrets.
        fresh: ask for a process started from exec.
        routing: let code move to the policy that takes it; False denies it, with the hint which one would.
        open_timeout: seconds for starting a private daemon, and again for screening and opening.
    """

    def __init__(
        self,
        policy: str = "default",
        address: str | None = None,
        *,
        limits: Limits | None = None,
        labels: Mapping[str, str] | None = None,
        fresh: bool = False,
        routing: bool = True,
        open_timeout: float = OPEN_SECONDS,
    ) -> None:
        self._opening = pb.Open(
            policy=policy, limits=_decode.wanted_limits(limits), labels=dict(labels or {}), fresh=fresh
        )
        self._wanted_address = address
        self._routing = routing
        self._open_seconds = open_timeout

    async def run(
        self,
        code: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the daemon keeps it
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
        on_result: Callback[Result] | None = None,
        execution_id: str | None = None,
    ) -> Execution:
        """Run code to its end, at most once; a program that fails is a result. Left early it is interrupted.

        `Execution.routing` is the verdict that moved it, None where it stayed; `Execution.verdict.policy` is where it ran.
        `Execution.output_expired`: the connection was lost until after its end, and its output with it.

        Args:
            code: Python source.
            timeout: seconds; None or 0 is the limit of the policy that runs it.
            on_stdout: called with each piece of text as it is printed.
            on_stderr: the same for standard error.
            on_result: called with each displayed value.
            execution_id: 8 to 64 characters of [A-Za-z0-9_-]; made up when not given.

        Raises:
            NotStartedError: nothing ran; safe to try again, also elsewhere.
            InDoubtError: it may have run: ask with `Sandbox.get_execution`, never run it again unasked.
            SessionLostError: it was ended from outside.
        """
        execute = _decode.execute_message(code, timeout, execution_id)
        session = await self._open(execute)
        session.running = execute.execution_id
        heard = listeners(on_stdout, on_stderr, on_result)
        flight = AsyncFlight(
            session,
            execute,
            functools.partial(tell_listeners, heard),
            bound_seconds=bound_seconds(session.opened, timeout),
            idempotent=False,
            sent=True,
        )
        try:
            return await self._collect(session, flight)
        finally:
            await session.aclose()

    async def _open(self, execute: pb.Execute) -> AsyncSession:
        """Send it, and wait until the daemon says what it opened.

        Raises:
            NotStartedError, InDoubtError: see `run`.
        """
        address = check_address(await find_address(self._wanted_address, Deadline(self._open_seconds)))
        session = AsyncSession(Connection(address), address)
        try:
            await self._send(session, execute)
        except BaseException:
            await session.aclose()
            raise
        return session

    async def _send(self, session: AsyncSession, execute: pb.Execute) -> None:
        if not session.listening():
            raise session.unreachable_error()
        request = pb.RunRequest(open=self._opening, execute=execute, no_routing=not self._routing)
        try:
            await session.open_run(request, Deadline(self._open_seconds))
        except StreamBrokenError as broken:
            if broken.error is None:
                raise _in_doubt(execute, "the connection broke before the daemon answered.") from None
            raise not_started(broken.error) from None
        except SandboxError as error:
            raise _in_doubt(execute, error.message) from error

    async def _collect(self, session: AsyncSession, flight: AsyncFlight) -> Execution:
        try:
            execution = await flight.run()
        except SessionLostError as lost:
            if lost.execution is None:
                raise
            return lost.execution  # a sandbox that ends with its one run is no loss; its output is
        except BaseException as error:
            if flight.told_badly or not isinstance(error, SandboxError):
                await self._abandon(session, flight)
            raise
        with contextlib.suppress(StreamBrokenError, TimeoutError):
            await session.receive(
                Deadline(END_SECONDS)
            )  # the call's own end: to cut it off would be a fault there
        return execution

    async def _abandon(self, session: AsyncSession, flight: AsyncFlight) -> None:
        """Interrupt what runs: its own stream takes no requests, so by one that does."""
        try:
            await session.attach(Deadline(ABANDON_SECONDS))
        except (StreamBrokenError, SandboxError):
            return  # it is over, or its deadline ends it
        await flight.abandon()


def _in_doubt(execute: pb.Execute, why: str) -> InDoubtError:
    error = InDoubtError(
        ClientCode.UNREACHABLE,
        f"It is not known whether the program was started: {why}",
        remedy="Ask with get_execution(error.execution_id); do not run it again unless that is harmless.",
    )
    error.execution_id = execute.execution_id
    return error
