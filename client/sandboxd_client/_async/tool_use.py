"""A sandbox's tools: which functions its code may call, and calling them directly as a model does."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client._channel import Deadline, StreamBrokenError
from sandboxd_client.errors import ClientCode, FaultError, SandboxError
from sandboxd_client.tools.definition import Tool, as_tools
from sandboxd_client.tools.direct import DirectCall, DirectResult
from sandboxd_client.tools.specs import spec_of

from .direct_calls import AsyncDirectCalls
from .running import busy_error, listeners, tell_listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandboxd_client._backend_async import Callback
    from sandboxd_client.stream_events import ToolFinished, ToolStarted

    from .session import AsyncSession


class AsyncToolUse:
    """The part of a sandbox that has tools. `AsyncSandbox` brings the session.

    Mutable state: `_tools`, written by whoever holds the session's turn.
    """

    _session: AsyncSession | None
    _request_seconds: float
    _tools: tuple[Tool, ...]

    async def _ready(self) -> AsyncSession:
        """Return the session, opened."""
        raise NotImplementedError

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Return the tools that were registered; `tools_allowed` names those that the policy lets be called."""
        return self._tools

    @property
    def tools_allowed(self) -> frozenset[str]:
        """Return the names of the tools that the policy allows, none before the sandbox is open."""
        return frozenset(self._session.opened.tools_allowed) if self._session is not None else frozenset()

    async def set_tools(self, tools: Sequence[Tool | Callable[..., Any]]) -> frozenset[str]:
        """Replace the sandbox's tools; return the names of those that the policy allows.

        Args:
            tools: functions, or what `tool` made of them.

        Raises:
            ToolDefinitionError: one of them cannot be a tool.
            RefusedError: TOOL_INVALID, from the daemon.
            NotStartedError: code runs in the sandbox.
            SessionLostError: the session is gone.
        """
        made = as_tools(tools)
        session = await self._ready()
        if not await session.turn.take(0):
            raise busy_error()
        try:
            told = await self._tell_tools(session, pb.SetTools(tools=[spec_of(tool) for tool in made]))
            session.desk.offer(made)
            self._tools = made
            del session.opened.tools_allowed[:]
            session.opened.tools_allowed.extend(told.allowed)
        finally:
            session.turn.give()
        return self.tools_allowed

    async def call_tool(self, tool: str, arguments: dict[str, Any] | str = "{}") -> DirectResult:
        """Call one tool directly: see `call_tools`."""
        [result] = await self.call_tools([DirectCall(tool, arguments)])
        return result

    async def call_tools(
        self,
        calls: Sequence[DirectCall],
        *,
        on_tool_call: Callback[ToolStarted | ToolFinished] | None = None,
    ) -> list[DirectResult]:
        """Call tools directly, all at once, as for a model's JSON calls; return what came of each, in order.

        The daemon checks each call as it does those from code: registered, allowed, arguments, budgets; and records it.

        Args:
            calls: the calls.
            on_tool_call: called when a tool begins, and when it has ended.

        Raises:
            NotStartedError: code runs in the sandbox.
            SandboxError: the session or the connection is gone: what was under way may have taken effect.
        """
        session = await self._ready()
        heard = functools.partial(tell_listeners, listeners(None, None, None, on_tool_call))
        seconds = session.opened.limits.tool_seconds + self._request_seconds
        flock = AsyncDirectCalls(session, calls, heard, seconds)
        if not await session.turn.take(0):
            raise busy_error()
        try:
            if not session.attached():
                await session.reattach(Deadline(self._request_seconds))
            return await flock.run()
        finally:
            session.turn.give()

    async def _tell_tools(self, session: AsyncSession, message: pb.SetTools) -> pb.ToolsSet:
        """Register tools: the same twice is the same once, so a broken stream is no matter."""
        deadline = Deadline(self._request_seconds)
        error: SandboxError | None = None
        while not deadline.passed():
            if not session.attached():
                await session.reattach(deadline)
            try:
                request = pb.SessionRequest(set_tools=message)
                return (await session.request(request, "tools_set", deadline)).tools_set
            except StreamBrokenError as broken:
                error = broken.error
                if error is not None or session.closing:
                    raise error or session.closed_error("") from None
            except TimeoutError:
                break
        raise FaultError(ClientCode.DEADLINE_EXCEEDED, "The daemon did not answer in time.")
