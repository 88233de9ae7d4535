"""What every model client shares: messages, replies, usage, errors. No I/O, no third-party packages."""

from sandboxd_client.models.errors import ModelError
from sandboxd_client.models.messages import (
    Message,
    ModelReply,
    ModelTool,
    Role,
    StopWatch,
    TokenUsage,
    ToolCall,
)

__all__ = ("Message", "ModelError", "ModelReply", "ModelTool", "Role", "StopWatch", "TokenUsage", "ToolCall")
