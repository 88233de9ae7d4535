"""What a run of an agent was: its steps, its answer, what it left behind, and how it is kept as JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandboxd_client.models.messages import TokenUsage

if TYPE_CHECKING:
    from sandboxd_client.agent.parsing import ParseProblem
    from sandboxd_client.agent.tool_calling import CalledTool
    from sandboxd_client.models.messages import Message
    from sandboxd_client.results import Execution

FORMAT = "sandboxd.run/v1"
_MAX_NAME = 100


class AgentOutcome(StrEnum):
    """How a run ended: exactly one."""

    ANSWERED = "answered"
    MAX_STEPS = "max_steps"
    TOKEN_BUDGET = "token_budget"  # noqa: S105 (a word, not a password)
    MODEL_ERROR = "model_error"
    SANDBOX_ERROR = "sandbox_error"
    STOPPED = "stopped"  # an operator or another client ended the running block


@dataclass(frozen=True, slots=True)
class AgentStep:
    """One turn: what the model said, what ran, what it was told. `execution` is None where no code ran.

    `calls` are those that a model made directly; tools that code called are in `execution.tool_calls`.
    """

    number: int
    thought: str = ""
    code: str = ""
    source: str = ""
    problem: ParseProblem | None = None
    execution: Execution | None = None
    observation: str = ""
    usage: TokenUsage = field(default_factory=TokenUsage)
    model_seconds: float = 0.0
    run_seconds: float = 0.0
    calls: tuple[CalledTool, ...] = ()


@dataclass(frozen=True, slots=True)
class Artifact:
    """A figure that was displayed, or a file left in /work: a claim of the sandbox, to be shown with care.

    `data` is None where it was too large to fetch. `step` is the step that displayed it, 0 for a file.
    """

    name: str
    media_type: str
    size_bytes: int
    data: bytes | None
    step: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that ended a run: its stable code, its words, and the execution whose fate it left in doubt."""

    code: str
    message: str
    execution_id: str = ""


@dataclass(frozen=True, slots=True)
class AgentResult:
    """A finished run. `answer` is plain data, or a repr where it was none; None without an answer."""

    task: str
    outcome: AgentOutcome
    answer: Any
    steps: tuple[AgentStep, ...]
    usage: TokenUsage
    model: str
    policy: str
    policy_digest: str
    messages: tuple[Message, ...]
    artifacts: tuple[Artifact, ...] = ()
    failure: Failure | None = None

    @property
    def plots(self) -> tuple[Artifact, ...]:
        """Return the PNG images among the artifacts."""
        return tuple(artifact for artifact in self.artifacts if artifact.media_type == "image/png")

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain data; artifacts by size and hash."""
        return {
            "format": FORMAT,
            "task": self.task,
            "model": self.model,
            "policy": {"name": self.policy, "digest": self.policy_digest},
            "outcome": self.outcome.value,
            "answer": _strict(self.answer),
            "failure": dataclasses.asdict(self.failure) if self.failure else None,
            "usage": dataclasses.asdict(self.usage),
            "messages": [dataclasses.asdict(message) for message in self.messages],
            "steps": [_step_json(step) for step in self.steps],
            "artifacts": [_artifact_json(artifact) for artifact in self.artifacts],
        }

    def save(self, path: str | Path) -> None:
        """Write the run as JSON, whole or not at all, for its owner's eyes: it holds the task's data."""
        text = json.dumps(self.to_json(), indent=2) + "\n"
        _write(Path(path), text.encode())

    def save_artifacts(self, directory: str | Path) -> list[Path]:
        """Write the fetched artifacts into a directory; return their paths.

        A name from a sandbox is never used as a path: it is reduced to harmless characters and numbered where
        it is taken, and no link is followed.
        """
        base = Path(directory)
        base.mkdir(parents=True, exist_ok=True)
        taken: set[str] = set()
        written = []
        for artifact in self.artifacts:
            if artifact.data is not None:
                path = base / _harmless(artifact.name, taken)
                _write(path, artifact.data)
                written.append(path)
        return written


def displayed(step: AgentStep) -> list[Artifact]:
    """Return the PNG images that a step displayed."""
    images = [result.png for result in step.execution.results] if step.execution else []
    return [
        Artifact(f"figure-{step.number}-{position}.png", "image/png", len(image), image, step.number)
        for position, image in enumerate((image for image in images if image is not None), start=1)
    ]


def _strict(answer: Any) -> Any:
    """Return an answer as JSON's own grammar has it, which knows no nan; otherwise as text."""
    try:
        json.dumps(answer, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return str(answer)
    return answer


def _step_json(step: AgentStep) -> dict[str, Any]:
    return {
        "number": step.number,
        "thought": step.thought,
        "code": step.code,
        "source": step.source,
        "problem": step.problem.code if step.problem else None,
        "observation": step.observation,
        "execution": _execution_json(step.execution) if step.execution else None,
        "calls": [_call_json(call) for call in step.calls],
        "usage": dataclasses.asdict(step.usage),
        "model_seconds": round(step.model_seconds, 3),
        "run_seconds": round(step.run_seconds, 3),
    }


def _execution_json(execution: Execution) -> dict[str, Any]:
    findings = execution.verdict.findings if execution.verdict else ()
    return {
        "execution_id": execution.execution_id,
        "outcome": execution.outcome.value,
        "evidence": dataclasses.asdict(execution.evidence),
        "usage": dataclasses.asdict(execution.usage),
        "findings": [dataclasses.asdict(finding) for finding in findings],
        "limits_hit": list(execution.limits_hit),
        "variables_lost": execution.variables_lost,
        "tool_calls": [dataclasses.asdict(use) for use in execution.tool_calls],
    }


def _call_json(call: CalledTool) -> dict[str, Any]:
    result = call.result
    return {
        "tool": call.name,
        "arguments": call.arguments,
        "call_id": result.call_id if result else None,
        "state": result.state.value if result else None,
        "code": result.code if result else "",
    }


def _artifact_json(artifact: Artifact) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "media_type": artifact.media_type,
        "size_bytes": artifact.size_bytes,
        "sha256": hashlib.sha256(artifact.data).hexdigest() if artifact.data is not None else None,
        "step": artifact.step,
    }


def _harmless(name: str, taken: set[str]) -> str:
    last = name.rpartition("/")[2][-_MAX_NAME:]
    safe = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in last
    )
    safe = safe.lstrip(".-") or "artifact"
    stem, dot, suffix = safe.rpartition(".")
    number = 1
    wanted = safe
    while wanted in taken:
        number += 1
        wanted = f"{stem}-{number}{dot}{suffix}" if stem else f"{safe}-{number}"
    taken.add(wanted)
    return wanted


def _write(path: Path, data: bytes) -> None:
    """Write beside the target and rename: readers see the old or the new file; a link is replaced."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
