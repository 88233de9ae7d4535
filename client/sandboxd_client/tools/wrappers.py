"""What can stand around a tool: approval, limits, a log. A call passes each, and back in reverse order."""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sandboxd_client.tools.errors import ToolRefusedError

_LOGGER = logging.getLogger("sandboxd_client.tools")


@dataclass(frozen=True, slots=True)
class ToolInvocation:
    """One call on its way to the function. `arguments` are as the function gets them.

    A function that runs long looks at `cancelled` now and then: nobody waits any more once it is set.
    """

    call_id: str
    tool: str
    arguments: dict[str, Any] = field(repr=False)
    direct: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)


CURRENT: ContextVar[ToolInvocation | None] = ContextVar("sandboxd_tool_invocation", default=None)


def current_call() -> ToolInvocation | None:
    """Return the call that this function runs for, None outside of one."""
    return CURRENT.get()


class ToolWrapper:
    """Does nothing: override what is wanted. Both may be coroutine functions; the call then runs on an event loop.

    One wrapper may serve many calls at once, from several threads.
    """

    def before(self, call: ToolInvocation) -> Awaitable[None] | None:
        """Look at a call; raise to refuse it (`ToolRefusedError` where it is no fault)."""

    def after(self, call: ToolInvocation, error: BaseException | None) -> Awaitable[None] | None:
        """Hear how a call ended: `error` is None where the function returned. It must not raise."""


Approve: TypeAlias = Callable[[ToolInvocation], "bool | Awaitable[bool]"]


class _Approval(ToolWrapper):
    def __init__(self, ask: Approve) -> None:
        self._ask = ask
        if inspect.iscoroutinefunction(ask) or inspect.iscoroutinefunction(getattr(ask, "__call__", None)):  # noqa: B004 - its kind, not whether
            self.before = self._before_async  # type: ignore[method-assign, assignment]

    def before(self, call: ToolInvocation) -> None:
        _require(self._ask(call), call)

    async def _before_async(self, call: ToolInvocation) -> None:
        answer = self._ask(call)
        _require(await answer if inspect.isawaitable(answer) else answer, call)


def _require(answer: object, call: ToolInvocation) -> None:
    if answer is not True:  # a coroutine that nobody awaited is truthy, too
        raise ToolRefusedError(f"The call of {call.tool} was not approved.")


def approval(ask: Approve) -> ToolWrapper:
    """Return a wrapper that runs a call only where `ask` says True; anything else refuses it.

    Args:
        ask: is given the call; sync or async. The snippet waits, its clock stands still, the tool's timeout runs.
    """
    return _Approval(ask)


class _CallLimit(ToolWrapper):
    def __init__(self, calls: int, seconds: float | None) -> None:
        if calls < 1 or (seconds is not None and seconds <= 0):
            raise ValueError("calls and seconds are above 0")
        self._calls = calls
        self._seconds = seconds
        self._lock = threading.Lock()
        self._times: deque[float] = deque()

    def before(self, call: ToolInvocation) -> None:
        now = time.monotonic()
        with self._lock:
            while self._seconds is not None and self._times and self._times[0] <= now - self._seconds:
                self._times.popleft()
            if len(self._times) >= self._calls:
                span = "" if self._seconds is None else f" in {self._seconds:g} s"
                raise ToolRefusedError(
                    f"{call.tool} may be called {self._calls} times{span}; that is used up."
                )
            self._times.append(now)


def call_limit(calls: int, seconds: float | None = None) -> ToolWrapper:
    """Return a wrapper that lets so many calls pass, in all or in any span of `seconds`."""
    return _CallLimit(calls, seconds)


class _Logged(ToolWrapper):
    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level

    def before(self, call: ToolInvocation) -> None:
        self._logger.log(self._level, "tool call begins tool=%s call_id=%s", call.tool, call.call_id)

    def after(self, call: ToolInvocation, error: BaseException | None) -> None:
        ended = "ok" if error is None else type(error).__name__
        self._logger.log(
            self._level, "tool call ended tool=%s call_id=%s outcome=%s", call.tool, call.call_id, ended
        )


def logged(logger: logging.Logger | None = None, level: int = logging.INFO) -> ToolWrapper:
    """Return a wrapper that logs the begin and end of each call, without arguments and results: those are data."""
    return _Logged(logger or _LOGGER, level)
