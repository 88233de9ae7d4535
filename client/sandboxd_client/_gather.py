"""Gathers the events of one execution into an `Execution`. No I/O; the caller hands on what `add` returns."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from . import _decode
from .results import Execution, Logs, Result, Verdict
from .stream_events import Display, Screened, Stderr, Stdout, StreamEvent

if TYPE_CHECKING:
    from sandboxd_proto.v1 import sandbox_pb2 as pb


class StreamText:
    """One output stream as text: the wire may cut a character in two, and bytes may have been left out."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._dropped_bytes = 0

    def add(self, output: pb.Output) -> list[str]:
        """Take a piece, with a marker before it where bytes were left out; return the new text."""
        new = self._mark(output.dropped_bytes) if output.dropped_bytes else []
        return self._keep([*new, self._decoder.decode(output.data)])

    def finish(self, dropped_bytes: int) -> list[str]:
        """End the stream: flush half a character, and mark what of the total was never marked."""
        missing = dropped_bytes - self._dropped_bytes
        return self._keep(self._mark(missing) if missing > 0 else [self._decoder.decode(b"", final=True)])

    def _mark(self, dropped_bytes: int) -> list[str]:
        self._dropped_bytes += dropped_bytes
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return [rest, f"\n[sandboxd: {dropped_bytes} bytes of output left out]\n"]

    def _keep(self, texts: list[str]) -> list[str]:
        new = [text for text in texts if text]
        self.pieces += new
        return new


class Gatherer:
    """Takes the events of one execution in their order. One thread or task at a time."""

    def __init__(self, execution_id: str, routing: pb.Verdict | None = None) -> None:
        self.execution_id = execution_id
        self._routing = None if routing is None else _decode.verdict(routing)
        self._stdout = StreamText()
        self._stderr = StreamText()
        self._results: list[Result] = []
        self._verdict: Verdict | None = None

    def add(self, event: pb.SessionEvent) -> list[StreamEvent]:
        """Take one event that is not the last; return what to tell the caller."""
        kind = event.WhichOneof("event")
        if kind == "stdout":
            return [Stdout(text) for text in self._stdout.add(event.stdout)]
        if kind == "stderr":
            return [Stderr(text) for text in self._stderr.add(event.stderr)]
        if kind == "display":
            self._results.append(_decode.display(event.display))
            return [Display(self._results[-1])]
        if kind == "verdict":
            self._verdict = _decode.verdict(event.verdict)
            return [Screened(self._verdict)]
        return []

    def finish(
        self, result: pb.Result, *, output_expired: bool = False
    ) -> tuple[Execution, list[StreamEvent]]:
        """Take the last event; return the whole execution and what is left to tell the caller."""
        rest: list[StreamEvent] = [Stdout(text) for text in self._stdout.finish(result.stdout_dropped_bytes)]
        rest += [Stderr(text) for text in self._stderr.finish(result.stderr_dropped_bytes)]
        execution = Execution(
            execution_id=self.execution_id,
            outcome=_decode.outcome(result.outcome),
            evidence=_decode.evidence(result.evidence),
            text=result.text if result.HasField("text") else None,
            results=self._results,
            logs=Logs(stdout=self._stdout.pieces, stderr=self._stderr.pieces),
            error=_decode.program_error(result),
            usage=_decode.usage(result.usage),
            verdict=self._verdict,
            routing=self._routing,
            final_answer=_decode.final_answer(result),
            limits_hit=tuple(result.limits_hit),
            variables_lost=result.variables_lost,
            output_expired=output_expired,
            rolled_back=result.rolled_back,
            restored_from=result.restored_from,
            files=[_decode.file_info(file) for file in result.files],
            files_truncated=result.files_truncated,
            tool_calls=tuple(_decode.tool_use(use) for use in result.tool_calls),
            tool_calls_left_out=result.tool_calls_left_out,
        )
        return execution, rest


def execution_from_log(response: pb.GetExecutionResponse) -> Execution:
    """Build an execution from GetExecution alone."""
    gatherer = Gatherer(response.execution_id)
    for event in response.events:
        gatherer.add(event)
    return gatherer.finish(response.result, output_expired=response.output_expired)[0]
