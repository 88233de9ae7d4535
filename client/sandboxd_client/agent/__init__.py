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
)
from sandboxd_client.agent.files import InputFile
from sandboxd_client.agent.result import AgentOutcome, AgentResult, AgentStep, Artifact, Failure

__all__ = (
    "AgentEvent",
    "AgentOutcome",
    "AgentResult",
    "AgentStep",
    "Artifact",
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
)
