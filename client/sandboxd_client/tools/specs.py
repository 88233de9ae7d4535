"""A tool as the daemon is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client.tools.definition import schema_text

if TYPE_CHECKING:
    from sandboxd_client.tools.definition import Tool

_CALLERS = {
    "code": pb.TOOL_CALLERS_CODE,
    "direct": pb.TOOL_CALLERS_DIRECT,
    "both": pb.TOOL_CALLERS_BOTH,
}


def spec_of(tool: Tool) -> pb.ToolSpec:
    """Return a tool's specification: names and schemas, nothing of the function."""
    return pb.ToolSpec(
        name=tool.name,
        description=tool.description,
        parameters_json=schema_text(tool.parameters),
        returns_json=schema_text(tool.returns),
        is_async=tool.is_async,
        callers=_CALLERS[tool.callers],
        timeout_seconds=tool.timeout_seconds,
    )
