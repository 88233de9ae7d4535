"""What can be wrong with a tool or a value, told to who wrote the tool."""

from __future__ import annotations


class ToolDefinitionError(TypeError):
    """A function cannot be a tool as it is; the message names the parameter and the remedy."""


class ToolValueError(TypeError):
    """A value cannot be sent, or is none; the message names the part and what to send instead."""


class ToolRefusedError(Exception):
    """A wrapper refused the call: not approved, or over its limit. The program inside sees it as a ToolError."""
