"""One tool call: what was admitted, how it ended, and both in the log, as hashes and numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import ToolState
from sandboxd.log import JsonValue, Log
from sandboxd.tools.specs import Tool
from sandboxd.tools.values import Value


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client says of a call: a value as JSON, or the class and text of what its function raised."""

    value_json: str | None
    error_name: str = ""
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an execution's code, or a model through the client (`execution_id` is "")."""

    session: str
    uid: int
    policy: str
    execution_id: str = ""

    @property
    def direct(self) -> bool:
        """Tell whether no code calls."""
        return not self.execution_id

    @property
    def fields(self) -> dict[str, JsonValue]:
        """What each record names."""
        caller = "direct" if self.direct else "code"
        return {"session": self.session, "uid": self.uid, "execution_id": self.execution_id, "caller": caller}


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that everything was checked of."""

    tool: Tool
    value: Value


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended."""

    state: ToolState
    code: str = ""  # a stable code; "" where the function raised
    name: str = ""
    message: str = ""
    value: Value | None = None

    @property
    def why(self) -> str:
        """The stable code, or the class of the client's exception."""
        return self.code or self.name


def refused(error: SandboxdError) -> Ended:
    """Tell the end of a call that never reached the client."""
    return Ended(ToolState.DENIED, error.code.value, error.code.value, error.message)


def failed(code: Code, message: str, state: ToolState = ToolState.FAILED) -> Ended:
    """Tell the end of a call that the daemon did not let succeed."""
    return Ended(state, code.value, code.value, message)


CUT_OFF = Ended(ToolState.CUT_OFF, name="CutOff", message="the snippet ended first")


async def record_call(log: Log, caller: Caller, call_id: str, admitted: Admitted) -> None:
    """Record a call before its client hears of it.

    Raises:
        SandboxdError: LOG_FULL, LOG_FAILED; the call must not be made.
    """
    fields: dict[str, JsonValue] = {
        **caller.fields,
        "call_id": call_id,
        "tool": admitted.tool.spec.name,
        "policy": caller.policy,
        "arguments_bytes": admitted.value.size_bytes,
        "arguments_sha256": _digest(admitted.value),
    }
    await log.before("tool_call", fields, owes=True)


def record_done(log: Log, caller: Caller, call_id: str, ended: Ended, *, seconds: float) -> None:
    """Record the end of a call that `record_call` recorded."""
    fields: dict[str, JsonValue] = {
        **caller.fields,
        "call_id": call_id,
        "state": ended.state.value,
        "code": ended.code,  # not the class of an exception: its name is the client's text
        "seconds": seconds,
    }
    if ended.value is not None:
        fields.update(result_bytes=ended.value.size_bytes, result_sha256=_digest(ended.value))
    log.after("tool_done", fields, owed=True)


def record_refusal(log: Log, caller: Caller, tool: str, code: str, *, times: int = 1) -> None:
    """Record calls that were refused. The tool is named only if it is registered: other names are a guest's text."""
    log.after("tool_refused", {**caller.fields, "tool": tool, "code": code, "times": times})


def _digest(value: Value) -> str:
    return hashlib.sha256(value.text.encode()).hexdigest()
