"""What an execution tells while it runs: frozen values, in order. `stream_code` gives them, callbacks are told of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .results import Execution, Result, ToolState, Verdict


@dataclass(frozen=True, slots=True)
class Screened:
    """The screen's verdict: the code runs next, or was refused."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Stdout:
    """A piece of standard output."""

    text: str


@dataclass(frozen=True, slots=True)
class Stderr:
    """A piece of standard error."""

    text: str


@dataclass(frozen=True, slots=True)
class Display:
    """A displayed value."""

    result: Result


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool is about to run here: the daemon has checked and recorded the call. `arguments` are the sandbox's data."""

    call_id: str
    tool: str
    arguments: dict[str, Any] = field(repr=False)
    direct: bool = False


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool returned, raised (`error` names the class), or nobody waits for it any more (CUT_OFF)."""

    call_id: str
    tool: str
    state: ToolState
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Finished:
    """The end, with the whole execution."""

    execution: Execution


StreamEvent: TypeAlias = Screened | Stdout | Stderr | Display | ToolStarted | ToolFinished | Finished
