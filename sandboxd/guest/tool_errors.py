"""What a tool call raises inside. Programs see these as builtins; protos/TOOLS.md names them."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple, Type


class ToolError(Exception):
    """A call of a tool failed: by itself, the tool's own function raised.

    Attributes:
        tool: which one.
        code: why, as a stable code; "" where the function raised.
        name: the class of what it raised, or the code.
        message: its text, without the names before it.
    """

    def __init__(
        self, text: str = "", *, tool: str = "", code: str = "", name: str = "", message: str = ""
    ) -> None:
        super().__init__(text)
        self.tool, self.code, self.name, self.message = tool, code, name, message or text


class ToolUnknown(ToolError):  # noqa: N818 - the names are the contract's
    """No tool of that name is registered, or code may not call it."""


class ToolDenied(ToolError):  # noqa: N818
    """The policy does not allow this tool, or these arguments."""


class ToolArgumentsError(ToolError, TypeError):
    """The arguments do not fit the tool's parameters."""


class ToolResultError(ToolError):
    """What the tool gave does not fit what it promised, or is too large."""


class ToolBudgetExceeded(ToolError):  # noqa: N818
    """The calls, bytes or waiting time of this snippet are used up."""


class ToolTimeout(ToolError, TimeoutError):  # noqa: N818
    """The tool did not answer in time. Whether it took effect is not known."""


BY_CODE: Dict[str, Type[ToolError]] = {
    "TOOL_UNKNOWN": ToolUnknown,
    "TOOL_DENIED": ToolDenied,
    "TOOL_ARGUMENTS": ToolArgumentsError,
    "TOOL_RESULT": ToolResultError,
    "TOOL_BUDGET": ToolBudgetExceeded,
    "TOOL_TIMEOUT": ToolTimeout,
}
CLASSES: Tuple[Type[ToolError], ...] = (ToolError, *BY_CODE.values())
for _class in CLASSES:
    _class.__module__ = "builtins"  # a traceback then names it as the program does


def error_of(tool: str, raw: Mapping[str, Any]) -> ToolError:
    """Make the exception of an answer that is an error."""
    code, name, message = (str(raw.get(key, "")) for key in ("code", "name", "message"))
    said = f"{tool}: {name}: {message}" if name and name != code else f"{tool}: {message}"
    return BY_CODE.get(code, ToolError)(said, tool=tool, code=code, name=name or code, message=message)
