"""Tools: functions of the caller's that code in a sandbox may have called. They run here; nothing of them goes there."""

from sandboxd_client.tools.definition import Callers, Tool, as_tools, tool
from sandboxd_client.tools.errors import ToolDefinitionError, ToolRefusedError, ToolValueError
from sandboxd_client.tools.frames import ToolTable
from sandboxd_client.tools.stubs import stubs
from sandboxd_client.tools.values import ToolImage
from sandboxd_client.tools.wrappers import (
    ToolInvocation,
    ToolWrapper,
    approval,
    call_limit,
    current_call,
    logged,
)

__all__ = (
    "Callers",
    "Tool",
    "ToolDefinitionError",
    "ToolImage",
    "ToolInvocation",
    "ToolRefusedError",
    "ToolTable",
    "ToolValueError",
    "ToolWrapper",
    "approval",
    "as_tools",
    "call_limit",
    "current_call",
    "logged",
    "stubs",
    "tool",
)
