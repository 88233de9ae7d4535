"""What one execution emitted, kept for the stream to take and for a client that comes back.

The guest never waits for a client, so a slow or absent reader must cost bounded memory: output that nobody
took yet is merged, and past the bounds the oldest output is left out: in its place stands an empty piece with its
`dropped_bytes`, which only a reader meets that had not taken it. Verdict, result and refusal always stay.
Displays have a budget of their own and are then replaced by their size. The executor cuts output by the
policy's limit before; these bounds hold when it does not, and where a policy allows more than the daemon may
hold for a reader that stands still.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from sandboxd.events import Display, Output, Result, ToolCall, ToolCallOver, ToolsSet, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandboxd.errors import SandboxdError

MERGE_BYTES = 64 << 10
OUTPUT_MAX_BYTES = 4 << 20  # however much the policy allows: a reader that keeps up loses nothing
DISPLAY_TOTAL_BYTES = 16 << 20
EVENTS_MAX = 4096
DISPLAYS_MAX = 512
OVERS_MAX = 256


@dataclass(frozen=True, slots=True)
class Refusal:
    """The execution was refused after it had been accepted; nothing was started."""

    error: SandboxdError


RingEvent: TypeAlias = Verdict | Output | Display | ToolCall | ToolCallOver | ToolsSet | Result | Refusal


@dataclass(frozen=True, slots=True)
class Entry:
    """One event with its place in the session."""

    sequence: int
    event: RingEvent


class EventRing:
    """The events of the running or last execution of one session."""

    def __init__(self, output_bytes: int) -> None:
        self.execution_id = ""
        self.first_sequence = 1
        # Both streams, and room for the marker's rounding.
        self._output_max = min(2 * output_bytes + MERGE_BYTES, OUTPUT_MAX_BYTES)
        self._sequence = 0
        self._taken = 0
        self._entries: list[Entry] = []
        self._output_bytes = 0
        self._display_bytes = 0
        self._displays = 0

    def begin(self, execution_id: str) -> None:
        """Forget the last execution and start with the next."""
        self.execution_id = execution_id
        self.first_sequence = self._sequence + 1
        self._entries = []
        self._output_bytes = self._display_bytes = self._displays = 0

    @property
    def waiting_bytes(self) -> int:
        """Tell how much the last piece of output has that nobody took yet."""
        last = self._entries[-1] if self._entries else None
        if last is None or last.sequence <= self._taken or not isinstance(last.event, Output):
            return 0
        return len(last.event.data)

    def append(self, event: RingEvent) -> None:
        """Take one event, within the bounds."""
        if isinstance(event, Output):
            self._append_output(event)
        elif isinstance(event, Display):
            self._append_display(event)
        elif isinstance(event, ToolCallOver):
            self._append_over(event)
        else:
            self._push(event)

    def answered(self, call_id: str) -> None:
        """Forget a tool call that has its answer: who comes back later must not run it again."""
        for index, entry in enumerate(self._entries):
            if isinstance(entry.event, ToolCall) and entry.event.call_id == call_id:
                del self._entries[index]
                return

    def after(self, sequence: int, most_bytes: int | None = None) -> list[Entry]:
        """List the events above a sequence; what was handed out is merged with no more.

        With `most_bytes` no more than the first ones that hold so much output: who writes them to a slow reader keeps them.
        """
        start = bisect_right(self._entries, sequence, key=attrgetter("sequence"))
        entries = self._entries[start:]
        if most_bytes is not None and self._output_bytes > most_bytes:
            entries = list(_first(entries, most_bytes))
        if entries:
            self._taken = max(self._taken, entries[-1].sequence)
        return entries

    def entries(self) -> list[Entry]:
        """List all events that are kept."""
        return self.after(0)

    def _push(self, event: RingEvent) -> None:
        self._sequence += 1
        self._entries.append(Entry(self._sequence, event))

    def _append_output(self, event: Output) -> None:
        last = self._entries[-1] if self._entries else None
        self._output_bytes += len(event.data)
        if last is not None and last.sequence > self._taken and _mergeable(last.event, event):
            assert isinstance(last.event, Output)
            self._entries[-1] = Entry(last.sequence, replace(last.event, data=last.event.data + event.data))
        else:
            self._push(event)
        while self._output_bytes > self._output_max or len(self._entries) > EVENTS_MAX:
            if not self._drop_oldest_output():
                return

    def _append_display(self, event: Display) -> None:
        size = sum(len(value) for value in event.data.values())
        if self._display_bytes + size > DISPLAY_TOTAL_BYTES or self._displays >= DISPLAYS_MAX:
            told = f"[display left out: {size:,} bytes are over the limit of a snippet]"
            lost = event.dropped_bytes + size
            event = Display({"text/plain": told}, is_result=event.is_result, dropped_bytes=lost)
            if self._displays >= DISPLAYS_MAX + 1:
                return  # one such marker says it; a flood of empty displays adds nothing
        self._display_bytes += sum(len(value) for value in event.data.values())
        self._displays += 1
        self._push(event)

    def _append_over(self, event: ToolCallOver) -> None:
        """Take the end of a call in the place of the call; of a program that gives up calls in a loop, the last ones."""
        self.answered(event.call_id)
        overs = [index for index, entry in enumerate(self._entries) if isinstance(entry.event, ToolCallOver)]
        if len(overs) >= OVERS_MAX:
            del self._entries[overs[0]]
        self._push(event)

    def _drop_oldest_output(self) -> bool:
        for index, entry in enumerate(self._entries[:-1]):
            gone = entry.event
            if isinstance(gone, Output) and gone.data:
                self._output_bytes -= len(gone.data)
                lost = gone.dropped_bytes + len(gone.data)
                self._entries[index] = Entry(entry.sequence, Output(gone.stream, b"", lost))
                self._join_gaps(index)
                return True
        return False

    def _join_gaps(self, index: int) -> None:
        """Make one gap of this one and the last before it of its stream, if the same readers meet both.

        So gaps stay few: what is dropped is always the oldest. Who attaches again between the two is told a little too much.
        """
        gap = self._entries[index]
        assert isinstance(gap.event, Output)
        for before in range(index - 1, -1, -1):
            entry = self._entries[before]
            if isinstance(entry.event, Output) and entry.event.stream == gap.event.stream:
                if (entry.sequence > self._taken) == (gap.sequence > self._taken):
                    lost = gap.event.dropped_bytes + entry.event.dropped_bytes
                    self._entries[index] = Entry(gap.sequence, replace(gap.event, dropped_bytes=lost))
                    del self._entries[before]
                return


def _first(entries: list[Entry], most_bytes: int) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        most_bytes -= len(entry.event.data) if isinstance(entry.event, Output) else 0
        if most_bytes <= 0:
            return


def _mergeable(last: RingEvent, event: Output) -> bool:
    return (
        isinstance(last, Output)
        and last.stream == event.stream
        and bool(last.data)  # not a gap
        and not event.dropped_bytes
        and len(last.data) + len(event.data) <= MERGE_BYTES
    )
