"""Messages from the wire become values here. They are data: an unknown enum number has a name of its own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from sandboxd_proto.v1 import sandbox_pb2 as pb

from .errors import RefusedError, not_started
from .info import (
    Checkpoint,
    FileInfo,
    FileKind,
    Limits,
    PolicyInfo,
    Protection,
    RulePage,
    SessionInfo,
    SessionSummary,
)
from .results import (
    Decision,
    Evidence,
    ExecutionError,
    FinalAnswer,
    Finding,
    Outcome,
    Result,
    SourceStats,
    ToolState,
    ToolUse,
    Usage,
    Verdict,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

_FILE_KINDS: dict[int, FileKind] = {pb.FILE_KIND_FILE: "file", pb.FILE_KIND_DIRECTORY: "directory"}
_USAGE = (
    "cpu_seconds",
    "wall_seconds",
    "memory_peak_bytes",
    "pids_peak",
    "disk_bytes",
    "output_bytes",
    "tool_calls",
)
_LIMITS = tuple(field.name for field in pb.Limits.DESCRIPTOR.fields)


_ON_ERROR = {"keep": pb.ON_ERROR_KEEP, "rollback": pb.ON_ERROR_ROLLBACK}

MAX_REQUEST_BYTES = 3 << 20
"""A daemon cuts the connection at 4 MiB a message, which tells nobody why. No policy takes a third of this."""

Request = TypeVar("Request", pb.Execute, pb.CheckRequest)


def sendable(request: Request) -> Request:
    """Return a request with code that a message can carry.

    Raises:
        RefusedError: INVALID_REQUEST.
    """
    if request.ByteSize() > MAX_REQUEST_BYTES:
        raise RefusedError(
            "INVALID_REQUEST",
            f"The code has {len(request.code.encode())} bytes; {MAX_REQUEST_BYTES} can be sent at most.",
            remedy="Put data into a file in /work and read it from there.",
        )
    return request


def execute_message(
    code: str, timeout_seconds: float | None, execution_id: str | None, on_error: str = "keep"
) -> pb.Execute:
    """Return the request to run code.

    Raises:
        ValueError: the timeout is negative, or on_error is none of its two values.
        NotStartedError: the code is too large to be sent.
    """
    if timeout_seconds is not None and timeout_seconds < 0:
        raise ValueError("timeout must not be negative")
    if on_error not in _ON_ERROR:
        raise ValueError(f"on_error must be one of {', '.join(map(repr, _ON_ERROR))}")
    wanted_id = execution_id or uuid.uuid4().hex
    try:
        return sendable(
            pb.Execute(
                execution_id=wanted_id,
                code=code,
                timeout_seconds=timeout_seconds or 0.0,
                on_error=_ON_ERROR[on_error],
            )
        )
    except RefusedError as error:
        raise not_started(error) from None


def outcome(number: int) -> Outcome:
    """Return the outcome's name."""
    name = pb.Outcome.DESCRIPTOR.values_by_number.get(number)
    known = name is not None and name.name.removeprefix("OUTCOME_") in Outcome.__members__
    return Outcome[name.name.removeprefix("OUTCOME_")] if name is not None and known else Outcome.UNKNOWN


def decision(number: int) -> Decision:
    """Return the decision's name."""
    name = pb.Decision.DESCRIPTOR.values_by_number.get(number)
    known = name is not None and name.name.removeprefix("DECISION_") in Decision.__members__
    return Decision[name.name.removeprefix("DECISION_")] if name is not None and known else Decision.UNKNOWN


def usage(message: pb.Usage) -> Usage:
    """Return the usage, None where the daemon measured nothing."""
    return Usage(**_present(message, _USAGE), sources=dict(message.sources))


def verdict(message: pb.Verdict) -> Verdict:
    """Return the verdict."""
    return Verdict(
        decision=decision(message.decision),
        findings=tuple(_finding(finding) for finding in message.findings),
        truncated=message.truncated,
        policy=message.policy,
        policy_digest=message.policy_digest,
        source_sha256=message.source_sha256,
        python_version=message.python_version,
        elapsed_seconds=message.elapsed_seconds,
        imports=tuple(message.imports),
        min_tier=message.min_tier,
        route_to=message.route_to,
        stats=SourceStats(
            source_bytes=message.stats.source_bytes,
            lines=message.stats.lines,
            nodes=message.stats.nodes,
            depth=message.stats.depth,
        ),
    )


def _finding(message: pb.Finding) -> Finding:
    return Finding(
        rule=message.rule,
        rule_id=message.rule_id,
        severity=message.severity,
        message=message.message,
        hint=message.hint,
        symbol=message.symbol,
        line=message.line,
        column=message.column,
        end_line=message.end_line,
        end_column=message.end_column,
        action=message.action,
    )


def evidence(message: pb.OutcomeEvidence) -> Evidence:
    """Return the evidence."""
    return Evidence(code=message.code, source=message.source, detail=message.detail)


def program_error(message: pb.Result) -> ExecutionError | None:
    """Return the program's exception, if it had one."""
    if not message.HasField("error"):
        return None
    error = message.error
    return ExecutionError(
        name=error.name, value=error.message, traceback=error.traceback, line=max(error.line, 0)
    )


def final_answer(message: pb.Result) -> FinalAnswer | None:
    """Return the final answer, if the program gave one."""
    if not message.HasField("final_answer"):
        return None
    return FinalAnswer(json=message.final_answer.json, text=message.final_answer.text)


def tool_state(number: int) -> ToolState:
    """Return the state's name."""
    value = pb.ToolState.DESCRIPTOR.values_by_number.get(number)
    name = value.name.removeprefix("TOOL_STATE_") if value is not None else ""
    return ToolState[name] if name in ToolState.__members__ else ToolState.UNKNOWN


def tool_use(message: pb.ToolUse) -> ToolUse:
    """Return a tool call that is over."""
    return ToolUse(
        call_id=message.call_id,
        tool=message.tool,
        state=tool_state(message.state),
        code=message.code,
        seconds=message.seconds,
    )


def display(message: pb.Display) -> Result:
    """Return a displayed value."""
    data = {
        mime: item.raw if item.WhichOneof("data") == "raw" else item.text
        for mime, item in message.data.items()
    }
    return Result(data=data, is_main_result=message.is_result, dropped_bytes=message.dropped_bytes)


def limits(message: pb.Limits) -> Limits:
    """Return limits, None where one is not set."""
    return Limits(**_present(message, _LIMITS))


def _present(message: Message, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the optional fields that are set."""
    return {name: getattr(message, name) for name in names if message.HasField(name)}


def wanted_limits(wanted: Limits | None) -> pb.Limits:
    """Return the message for wanted limits."""
    if wanted is None:
        return pb.Limits()
    return pb.Limits(**{name: getattr(wanted, name) for name in _LIMITS if getattr(wanted, name) is not None})


def session_info(message: pb.Opened) -> SessionInfo:
    """Return what an opened session is, without the capability."""
    return SessionInfo(
        display_id=message.display_id,
        policy=message.policy,
        policy_digest=message.policy_digest,
        limits=limits(message.limits),
        grace_seconds=message.grace_seconds,
        lease_seconds=message.lease_seconds,
        protections=tuple(Protection(p.name, p.active, p.detail) for p in message.protections),
        environment=message.environment,
        python_version=message.python_version,
        executor=message.executor,
        pooled=message.pooled,
        idle_seconds=message.idle_seconds,
        expires_at_seconds=message.expires_at_seconds,
        workdir=message.workdir or "/work",
        forked_from=message.forked_from,
    )


def checkpoint(message: pb.CheckpointInfo) -> Checkpoint:
    """Return what a checkpoint is."""
    return Checkpoint(message.name, message.created_at_seconds)


def session_summary(message: pb.SessionSummary) -> SessionSummary:
    """Return what a list says of a session."""
    return SessionSummary(
        display_id=message.display_id,
        policy=message.policy,
        state=message.state,
        created_at_seconds=message.created_at_seconds,
        expires_at_seconds=message.expires_at_seconds,
        executions=message.executions,
        labels=dict(message.labels),
        forked_from=message.forked_from,
    )


def file_info(message: pb.FileInfo) -> FileInfo:
    """Return what a file is."""
    return FileInfo(
        path=message.path,
        size_bytes=message.size_bytes,
        kind=_FILE_KINDS.get(message.kind, "other"),
        modified_at_seconds=message.modified_at_seconds,
    )


def rule_page(message: pb.RulePage) -> RulePage:
    """Return a rule's page."""
    return RulePage(
        rule=message.rule,
        rule_id=message.rule_id,
        summary=message.summary,
        markdown=message.markdown,
        actions=tuple(message.actions),
    )


def policy_info(message: pb.GetPolicyResponse) -> PolicyInfo:
    """Return what a policy allows."""
    return PolicyInfo(
        name=message.summary.name,
        description=message.summary.description,
        digest=message.summary.digest,
        is_default=message.summary.is_default,
        limits=limits(message.limits),
        grace_seconds=message.grace_seconds,
        allowed_imports=tuple(message.allowed_imports),
        denied_builtins=tuple(message.denied_builtins),
        environment=message.environment,
        python_version=message.python_version,
        packages=tuple(message.packages),
        yaml=message.yaml,
        screened=message.screened,
        restricted=message.restricted,
        executor=message.executor,
        route_to=tuple(message.route_to),
    )
