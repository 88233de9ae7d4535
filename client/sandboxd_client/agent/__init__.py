"""The parts of an agent that do no I/O: parsing, prompts, observations, events, results."""

from sandboxd_client.agent.events import (
    AgentEvent,
    CodeParsed,
    ExecutionFinished,
    ModelFinished,
    ModelStarted,
    ModelText,
    ParseFailed,
    RunFinished,
    RunStarted,
    StepFinished,
    ToolCallsFinished,
    ToolCallsParsed,
    ToolProgress,
)
from sandboxd_client.agent.files import InputFile
from sandboxd_client.agent.result import AgentOutcome, AgentResult, AgentStep, Artifact, Failure
from sandboxd_client.agent.tool_calling import CalledTool

__all__ = (
    "AgentEvent",
    "AgentOutcome",
    "AgentResult",
    "AgentStep",
    "Artifact",
    "CalledTool",
    "CodeParsed",
    "ExecutionFinished",
    "Failure",
    "InputFile",
    "ModelFinished",
    "ModelStarted",
    "ModelText",
    "ParseFailed",
    "RunFinished",
    "RunStarted",
    "StepFinished",
    "ToolCallsFinished",
    "ToolCallsParsed",
    "ToolProgress",
)
