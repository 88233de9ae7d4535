"""What an agent reports while it runs: frozen values, in order, to a callback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from sandboxd_client.agent.parsing import ParseProblem
    from sandboxd_client.agent.result import AgentResult, AgentStep
    from sandboxd_client.info import FileInfo
    from sandboxd_client.models.messages import ModelReply, ToolCall
    from sandboxd_client.results import Execution
    from sandboxd_client.stream_events import ToolFinished, ToolStarted
    from sandboxd_client.tools.direct import DirectResult


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The files are in /work and the policy is known; the model is asked next."""

    task: str
    model: str
    policy: str
    files: tuple[FileInfo, ...]


@dataclass(frozen=True, slots=True)
class ModelStarted:
    """The model is being asked."""

    step: int


@dataclass(frozen=True, slots=True)
class ModelText:
    """A piece of the model's reply, as it arrives."""

    step: int
    text: str


@dataclass(frozen=True, slots=True)
class ModelFinished:
    """The model's whole reply."""

    step: int
    reply: ModelReply


@dataclass(frozen=True, slots=True)
class CodeParsed:
    """The code that is run next."""

    step: int
    thought: str
    code: str


@dataclass(frozen=True, slots=True)
class ParseFailed:
    """The reply holds no code; the model is told so."""

    step: int
    problem: ParseProblem


@dataclass(frozen=True, slots=True)
class ExecutionFinished:
    """What became of the code."""

    step: int
    execution: Execution


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """A tool begins or has ended, called by the code of a step or directly."""

    step: int
    event: ToolStarted | ToolFinished


@dataclass(frozen=True, slots=True)
class ToolCallsParsed:
    """The calls that are made next."""

    step: int
    thought: str
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class ToolCallsFinished:
    """What became of the calls."""

    step: int
    results: tuple[DirectResult, ...]


@dataclass(frozen=True, slots=True)
class StepFinished:
    """The step as it is kept."""

    step: AgentStep


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The end of the run."""

    result: AgentResult


AgentEvent: TypeAlias = (
    RunStarted
    | ModelStarted
    | ModelText
    | ModelFinished
    | CodeParsed
    | ParseFailed
    | ExecutionFinished
    | ToolProgress
    | ToolCallsParsed
    | ToolCallsFinished
    | StepFinished
    | RunFinished
)
