"""Between domain values and messages: the one place that knows both.

What a guest claims is cut here to what a message may hold, so that no guest can make an event that its
client's receive limit refuses: that would break the stream instead of the snippet.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import (
    Decision,
    Display,
    Outcome,
    Output,
    ProgramError,
    Result,
    ToolCall,
    ToolCallOver,
    ToolsSet,
    Usage,
    Verdict,
)
from sandboxd.service.refusals import refused
from sandboxd.service.tools import fill_tool_event, tool_specs, tool_use
from sandboxd.sessions import Checkpointed, Forked, OpenWish, Refusal, RolledBack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandboxd.events import Finding, Limits, MadeFile, Protection
    from sandboxd.executors.base import FileStat
    from sandboxd.sessions import Answer, Item, OneShot, RingEvent, Session

DISPLAY_MAX_BYTES = 3 << 20
_PLAIN = "text/plain"
_MESSAGE_BYTES = 256 << 10  # up to which events share a message
_TEXT_MAX_BYTES = 256 << 10  # of each of the texts that a result may have

OUTCOMES = {outcome: pb.Outcome.Value(f"OUTCOME_{outcome.name}") for outcome in Outcome}
DECISIONS = {decision: pb.Decision.Value(f"DECISION_{decision.name}") for decision in Decision}
KINDS = {"file": pb.FILE_KIND_FILE, "directory": pb.FILE_KIND_DIRECTORY, "other": pb.FILE_KIND_OTHER}


def event_message(item: Item) -> pb.SessionEvent:
    """Make the message of one event."""
    message = pb.SessionEvent(
        request_id=item.request_id, execution_id=item.execution_id, sequence=item.sequence
    )
    fill_event(message, item.event)
    return message


def event_messages(items: Sequence[Item]) -> Iterator[pb.SessionEvent]:
    """Make as few messages of events as the bound allows, in order."""
    first: pb.SessionEvent | None = None
    room = 0
    for message in map(event_message, items):
        size = message.ByteSize()
        if first is not None and size <= room:
            first.more.append(message)
            room -= size
            continue
        if first is not None:
            yield first
        first, room = message, _MESSAGE_BYTES - size
    if first is not None:
        yield first


def fill_event(message: pb.SessionEvent, event: RingEvent | Answer) -> None:
    """Set the one field of the event."""
    if isinstance(event, Output):
        piece = message.stdout if event.stream == "stdout" else message.stderr
        piece.data = event.data
        piece.dropped_bytes = event.dropped_bytes
        piece.SetInParent()
    elif isinstance(event, Result):
        message.result.CopyFrom(result_message(event))
    elif isinstance(event, Verdict):
        message.verdict.CopyFrom(verdict_message(event))
    elif isinstance(event, Display):
        message.display.CopyFrom(_display(event))
    elif isinstance(event, (ToolCall, ToolCallOver, ToolsSet)):
        fill_tool_event(message, event)
    elif isinstance(event, Refusal):
        message.refused.CopyFrom(refused(event.error))
    else:
        _fill_answer(message, event)


def _fill_answer(message: pb.SessionEvent, answer: Answer) -> None:
    if isinstance(answer, Forked):
        message.forked.clones.extend(opened_message(clone) for clone in answer.clones)
    elif isinstance(answer, Checkpointed):
        message.checkpointed.checkpoints.extend(_checkpoints(answer.checkpoints))
        message.checkpointed.SetInParent()
    elif isinstance(answer, RolledBack):
        message.rolled_back.name = answer.name
    else:
        message.renewed.expires_at_seconds = answer.expires_at_seconds


def _checkpoints(points: tuple[tuple[str, float], ...]) -> list[pb.CheckpointInfo]:
    return [pb.CheckpointInfo(name=name, created_at_seconds=made) for name, made in points]


def opened_message(session: Session) -> pb.Opened:
    """Tell the owner what was opened. Holds the capability: for the owner's stream alone."""
    facts = session.facts
    return pb.Opened(
        session_id=facts.token,
        display_id=facts.display_id,
        policy=facts.policy.name,
        policy_digest=facts.policy.digest,
        limits=limits_message(facts.limits),
        grace_seconds=facts.limits.grace_seconds,
        lease_seconds=session.lease_seconds,
        protections=[_protection(one) for one in session.box.protections],
        environment=facts.policy.environment,
        python_version=session.box.python_version,
        executor=facts.executor,
        pooled=session.box.pooled,
        tools_allowed=session.tools.allowed,
        idle_seconds=facts.idle_seconds,
        expires_at_seconds=facts.expires_at_seconds,
        workdir=session.box.workdir,
        forked_from=facts.forked_from,
        checkpoints=_checkpoints(session.checkpoints()),
    )


def summary_message(session: Session) -> pb.SessionSummary:
    """Tell of a session without its capability."""
    facts = session.facts
    return pb.SessionSummary(
        display_id=facts.display_id,
        uid=facts.uid,
        policy=facts.policy.name,
        state=session.state.value,
        created_at_seconds=facts.created_at_seconds,
        expires_at_seconds=time.time() + session.remaining_seconds(),
        executions=session.executions,
        labels=facts.labels,
        forked_from=facts.forked_from,
    )


def routing_message(shot: OneShot) -> pb.SessionEvent:
    """Tell the client of a one-shot that it moves, before anything is opened."""
    event = pb.SessionEvent(execution_id=shot.execute.execution_id[:64])
    if shot.verdict is not None:
        event.verdict.CopyFrom(verdict_message(shot.verdict))
    return event


def open_wish(message: pb.Open) -> OpenWish:
    """Read what a client asks of a new session."""
    limits = message.limits
    names = tuple(field.name for field in pb.Limits.DESCRIPTOR.fields)
    return OpenWish(
        policy=message.policy,
        limits={name: getattr(limits, name) for name in names if limits.HasField(name)},  # type: ignore[arg-type]  # names of the message
        labels=dict(message.labels),
        lease_seconds=message.lease_seconds,
        fresh=message.fresh,
        tools=tool_specs(message.tools),
        idle_seconds=message.idle_seconds,
        lifetime_seconds=message.lifetime_seconds,
    )


def rolls_back(on_error: int) -> bool:
    """Read what is to become of a failing snippet's traces.

    Raises:
        SandboxdError: INVALID_REQUEST: a value of a newer client's is not taken for "keep".
    """
    if on_error in {pb.ON_ERROR_UNSPECIFIED, pb.ON_ERROR_KEEP}:
        return False
    if on_error == pb.ON_ERROR_ROLLBACK:
        return True
    raise SandboxdError(
        Code.INVALID_REQUEST,
        "on_error is keep or rollback.",
        remedy="Leave it out to keep.",
        failure=FailureClass.NOT_STARTED,
    )


def seconds(value: float) -> float:
    """Read a duration that a client sent.

    Raises:
        SandboxdError: INVALID_REQUEST: a NaN passes every comparison against a limit.
    """
    if not math.isfinite(value) or value < 0:
        raise SandboxdError(
            Code.INVALID_REQUEST,
            "A duration must be a finite number of seconds, 0 or more.",
            remedy="Leave it out for the default.",
            failure=FailureClass.NOT_STARTED,
        )
    return value


def limits_message(limits: Limits) -> pb.Limits:
    """Make the message of effective limits."""
    return pb.Limits(
        wall_seconds=limits.wall_seconds,
        cpu_seconds=limits.cpu_seconds,
        memory_bytes=limits.memory_bytes,
        disk_bytes=limits.disk_bytes,
        output_bytes=limits.output_bytes,
        pids=limits.pids,
        tool_calls=limits.tool_calls,
        tool_bytes=limits.tool_bytes,
        tool_seconds=limits.tool_seconds,
        tool_wait_seconds=limits.tool_wait_seconds,
        forks=limits.forks,
    )


def verdict_message(verdict: Verdict) -> pb.Verdict:
    """Make the message of a verdict."""
    return pb.Verdict(
        decision=DECISIONS[verdict.decision],
        findings=[_finding(one) for one in verdict.findings],
        truncated=verdict.truncated,
        policy=verdict.policy,
        policy_digest=verdict.policy_digest,
        source_sha256=verdict.source_sha256,
        python_version=verdict.python_version,
        elapsed_seconds=verdict.elapsed_seconds,
        imports=verdict.imports,
        min_tier=verdict.min_tier,
        route_to=verdict.route_to,
        stats=pb.SourceStats(
            source_bytes=verdict.stats.source_bytes,
            lines=verdict.stats.lines,
            nodes=verdict.stats.nodes,
            depth=verdict.stats.depth,
        ),
    )


def result_message(result: Result) -> pb.Result:
    """Make the message of a result; what was not measured stays unset."""
    message = pb.Result(
        outcome=OUTCOMES[result.outcome],
        evidence=pb.OutcomeEvidence(
            code=result.evidence.code, source=result.evidence.source, detail=result.evidence.detail
        ),
        usage=_usage(result.usage),
        limits_hit=result.limits_hit,
        stdout_dropped_bytes=result.stdout_dropped_bytes,
        stderr_dropped_bytes=result.stderr_dropped_bytes,
        variables_lost=result.variables_lost,
        tool_calls=[tool_use(one) for one in result.tool_calls],
        tool_calls_left_out=result.tool_calls_left_out,
        rolled_back=result.rolled_back,
        restored_from=result.restored_from,
        files=[file_message(one) for one in result.files],
        files_truncated=result.files_truncated,
    )
    if result.text is not None:
        message.text = _cut(result.text)
    if result.error is not None:
        message.error.CopyFrom(_program_error(result.error))
    if result.final_answer is not None:
        # JSON that was cut would be no JSON: an empty one sends the reader to the text.
        json = _cut(result.final_answer.json)
        message.final_answer.json = json if len(json) == len(result.final_answer.json) else ""
        message.final_answer.text = _cut(result.final_answer.text)
    return message


def file_message(stat: FileStat | MadeFile) -> pb.FileInfo:
    """Make the message of a file's facts."""
    return pb.FileInfo(
        path=stat.path,
        size_bytes=stat.size_bytes,
        kind=KINDS.get(stat.kind, pb.FILE_KIND_OTHER),
        modified_at_seconds=stat.modified_at_seconds,
    )


def _usage(usage: Usage) -> pb.Usage:
    return pb.Usage(
        cpu_seconds=usage.cpu_seconds,
        wall_seconds=usage.wall_seconds,
        memory_peak_bytes=usage.memory_peak_bytes,
        pids_peak=usage.pids_peak,
        disk_bytes=usage.disk_bytes,
        output_bytes=usage.output_bytes,
        tool_calls=usage.tool_calls,
        sources=usage.sources,
    )


def _display(display: Display) -> pb.Display:
    """Make the message of a display: the smallest forms first, and a word about each that does not fit."""
    message = pb.Display(is_result=display.is_result, dropped_bytes=display.dropped_bytes)
    room, left_out = DISPLAY_MAX_BYTES, ""
    for mime, value in sorted(display.data.items(), key=lambda pair: len(pair[1])):
        size = len(mime) + (len(value) if isinstance(value, bytes) else len(value.encode("utf-8", "replace")))
        if size > room:
            message.dropped_bytes += size
            left_out += f"\n[{_cut(mime)} left out: {size:,} bytes are over the limit]"
        elif isinstance(value, bytes):
            message.data[_cut(mime)].raw = value
        else:
            message.data[_cut(mime)].text = _text(value)
        room -= min(size, room)
    if left_out:
        message.data[_PLAIN].text = (message.data[_PLAIN].text + left_out).lstrip("\n")
    return message


def _program_error(error: ProgramError) -> pb.ProgramError:
    return pb.ProgramError(
        name=_cut(error.name)[:256],
        message=_cut(error.message),
        traceback=_cut(error.traceback),
        line=min(max(error.line, 0), 2**31 - 1),
    )


def _finding(finding: Finding) -> pb.Finding:
    return pb.Finding(
        rule=finding.rule,
        rule_id=finding.rule_id,
        severity=finding.severity,
        message=finding.message,
        hint=finding.hint,
        symbol=_text(finding.symbol),
        line=finding.line,
        column=finding.column,
        end_line=finding.end_line,
        end_column=finding.end_column,
        action=finding.action,
    )


def _protection(protection: Protection) -> pb.Protection:
    return pb.Protection(name=protection.name, active=protection.active, detail=protection.detail)


def _cut(text: str) -> str:
    part = text[:_TEXT_MAX_BYTES]
    if part.isascii():
        return part
    return part.encode("utf-8", "replace")[:_TEXT_MAX_BYTES].decode("utf-8", "ignore")


def _text(text: str) -> str:
    """Replace lone surrogates, which a guest can send in JSON and protobuf refuses to encode."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
