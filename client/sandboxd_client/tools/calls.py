"""Running one call of a tool, and the answer that goes back: a value, or the class and text of an exception, no more."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client.tools.errors import ToolValueError
from sandboxd_client.tools.values import decode, encode
from sandboxd_client.tools.wrappers import CURRENT, ToolInvocation, ToolWrapper

if TYPE_CHECKING:
    from sandboxd_client.tools.definition import Tool

_LOGGER = logging.getLogger("sandboxd_client.tools")
_MAX_MESSAGE_CHARACTERS = 4000
InThread: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]


def needs_loop(tool: Tool) -> bool:
    """Tell whether a call runs on an event loop: the function or something around it is a coroutine function."""
    hooks = [hook for wrapper in tool.wrappers for hook in (wrapper.before, wrapper.after)]
    return tool.is_async or any(inspect.iscoroutinefunction(hook) for hook in hooks)


def invocation(tool: Tool, call: pb.ToolCall) -> ToolInvocation:
    """Return the call with its arguments as the function gets them.

    Raises:
        ToolValueError: they do not fit the function; the daemon checked them against the schema.
    """
    arguments = decode(call.arguments_json)
    if not isinstance(arguments, dict):
        raise ToolValueError("the arguments are no object")
    return ToolInvocation(call.call_id, tool.name, tool.load(arguments), call.direct)


def answer_blocking(tool: Tool, call: ToolInvocation) -> pb.ToolResult:
    """Run a call in this thread, whatever it raises, and return the answer."""
    try:
        value = _run_blocking(tool, call)
    except BaseException as error:  # noqa: BLE001 - the program inside is told of it
        return error_answer(call.call_id, error, hidden=tool.hide_errors)
    return value_answer(call.call_id, tool, value)


async def answer_on_loop(tool: Tool, call: ToolInvocation, in_thread: InThread) -> pb.ToolResult:
    """Run a call on the running loop, a function that blocks in a thread, and return the answer.

    Raises:
        asyncio.CancelledError: nobody waits for it any more.
    """
    try:
        value = await _run_on_loop(tool, call, in_thread)
    except BaseException as error:
        if call.cancelled.is_set() or isinstance(error, GeneratorExit):
            raise
        return error_answer(call.call_id, error, hidden=tool.hide_errors)
    return value_answer(call.call_id, tool, value)


def _run_blocking(tool: Tool, call: ToolInvocation) -> Any:
    token = CURRENT.set(call)
    passed = []
    error: BaseException | None = None
    try:
        for wrapper in tool.wrappers:
            passed.append(wrapper)
            wrapper.before(call)
        return _no_awaitable(tool.function(**call.arguments), tool)
    except BaseException as caught:
        error = caught
        raise
    finally:
        for wrapper in reversed(passed):
            with _guarded(wrapper):
                wrapper.after(call, error)
        CURRENT.reset(token)


async def _run_on_loop(tool: Tool, call: ToolInvocation, in_thread: InThread) -> Any:
    token = CURRENT.set(call)
    passed = []
    error: BaseException | None = None
    try:
        for wrapper in tool.wrappers:
            passed.append(wrapper)
            await _settled(wrapper.before(call))
        if tool.is_async:
            return await tool.function(**call.arguments)
        value, raised = await in_thread(lambda: _caught(tool, call))
        if raised is not None:
            raise raised  # noqa: TRY301 - the wrappers hear of it below
        return _no_awaitable(value, tool)
    except BaseException as caught:
        error = caught
        raise
    finally:
        for wrapper in reversed(passed):
            with _guarded(wrapper):
                await _settled(wrapper.after(call, error))
        CURRENT.reset(token)


def _caught(tool: Tool, call: ToolInvocation) -> tuple[Any, BaseException | None]:
    """Call the function; hand an exception over as a value, for a StopIteration cannot be set on a future of asyncio."""
    try:
        return tool.function(**call.arguments), None
    except BaseException as error:  # noqa: BLE001 - raised again where the call is awaited
        return None, error


@contextlib.contextmanager
def _guarded(wrapper: ToolWrapper) -> Iterator[None]:
    """Log what `after` raises: the call is over, and has its outcome."""
    try:
        yield
    except Exception:
        _LOGGER.exception("a tool's wrapper failed after the call wrapper=%s", type(wrapper).__name__)


async def _settled(answer: Awaitable[None] | None) -> None:
    if inspect.isawaitable(answer):
        await answer


def _no_awaitable(value: Any, tool: Tool) -> Any:
    if inspect.iscoroutine(value):
        value.close()
        raise ToolValueError(
            f"{tool.name} is a plain function that returned a coroutine: write it with async def"
        )
    return value


def value_answer(call_id: str, tool: Tool, value: Any) -> pb.ToolResult:
    """Return the answer for a value; one that cannot be sent is told to the program and logged for the tool's author."""
    try:
        return pb.ToolResult(call_id=call_id, value_json=encode(value, f"the result of {tool.name}"))
    except ToolValueError as error:
        _LOGGER.warning("tool result cannot be sent tool=%s: %s", tool.name, error)
        return error_answer(call_id, error)


def error_answer(call_id: str, error: BaseException, *, hidden: bool = False) -> pb.ToolResult:
    """Return the answer for an exception: its class and text, no traceback, no cause, no local values."""
    try:
        text = "" if hidden else str(error)
    except Exception:  # noqa: BLE001 - a __str__ of the caller's
        text = ""
    told = pb.ToolError(name=_unicode(type(error).__name__), message=_unicode(text[:_MAX_MESSAGE_CHARACTERS]))
    return pb.ToolResult(call_id=call_id, error=told)


def _unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
