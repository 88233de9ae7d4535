"""Tools between messages and domain values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import ToolCall, ToolCallers, ToolCallOver, ToolSpec, ToolsSet, ToolState
from sandboxd.tools import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandboxd.events import ToolUse

_STATES = {state: pb.ToolState.Value(f"TOOL_STATE_{state.name}") for state in ToolState}
_CALLERS = {
    pb.TOOL_CALLERS_UNSPECIFIED: ToolCallers.BOTH,
    **{pb.ToolCallers.Value(f"TOOL_CALLERS_{callers.name}"): callers for callers in ToolCallers},
}


def tool_specs(messages: Sequence[pb.ToolSpec]) -> tuple[ToolSpec, ...]:
    """Read what a client registers as tools; of all but the callers nothing is checked yet.

    Raises:
        SandboxdError: TOOL_INVALID.
    """
    return tuple(
        ToolSpec(
            name=message.name,
            description=message.description,
            parameters_json=message.parameters_json,
            returns_json=message.returns_json,
            is_async=message.is_async,
            callers=_callers(message),
            timeout_seconds=message.timeout_seconds,
        )
        for message in messages
    )


def tool_answer(message: pb.ToolResult) -> Answer:
    """Read a client's answer; one with neither value nor error is an error without a name."""
    if message.WhichOneof("result") == "value_json":
        return Answer(message.value_json)
    return Answer(None, message.error.name, message.error.message)


def fill_tool_event(message: pb.SessionEvent, event: ToolCall | ToolCallOver | ToolsSet) -> None:
    """Set the one field of the event."""
    if isinstance(event, ToolCall):
        message.tool_call.call_id = event.call_id
        message.tool_call.tool = event.tool
        message.tool_call.arguments_json = event.arguments_json
        message.tool_call.direct = event.direct
        message.tool_call.timeout_seconds = event.timeout_seconds
    elif isinstance(event, ToolCallOver):
        message.tool_call_over.call_id = event.call_id
        message.tool_call_over.reason = event.reason
    else:
        message.tools_set.CopyFrom(pb.ToolsSet(allowed=event.allowed))


def tool_use(use: ToolUse) -> pb.ToolUse:
    """Make the message of a call that is over; the name of one that is not registered is a guest's text."""
    tool = use.tool.encode("utf-8", "replace").decode()
    return pb.ToolUse(
        call_id=use.call_id, tool=tool, state=_STATES[use.state], code=use.code, seconds=use.seconds
    )


def _callers(message: pb.ToolSpec) -> ToolCallers:
    callers = _CALLERS.get(message.callers)
    if callers is None:  # an open enum: a newer client may send what is none of ours
        raise SandboxdError(
            Code.TOOL_INVALID,
            f"Tool {message.name[:64]!r}, callers: there is no value {message.callers}.",
            remedy="Leave it out for both.",
            failure=FailureClass.NOT_STARTED,
            tool=message.name[:64],
            key="callers",
        )
    return callers
