"""The ring: sequence numbers for ever upwards, memory never beyond its bounds, and nothing lost uncounted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandboxd.events import Decision, Display, Outcome, Output, Result, ToolCall, ToolCallOver, Verdict
from sandboxd.sessions import EventRing, Feed
from sandboxd.sessions.ring import (
    DISPLAY_TOTAL_BYTES,
    DISPLAYS_MAX,
    EVENTS_MAX,
    MERGE_BYTES,
    OUTPUT_MAX_BYTES,
)

VERDICT, RESULT = Verdict(Decision.ALLOW), Result(Outcome.OK)


def ring(output_bytes: int = 1000) -> EventRing:
    made = EventRing(output_bytes)
    made.begin("execution-1")
    return made


def accounted(entries, stream: str) -> int:
    total = 0
    for event in (entry.event for entry in entries):
        if isinstance(event, Output) and event.stream == stream:
            total += len(event.data) + event.dropped_bytes
        if isinstance(event, Result):
            total += event.stdout_dropped_bytes if stream == "stdout" else event.stderr_dropped_bytes
    return total


def test_what_nobody_took_yet_is_merged_and_what_was_taken_is_not():
    made = ring()
    for text in (b"a", b"b"):
        made.append(Output("stdout", text))
    first = made.after(0)
    assert [entry.event.data for entry in first] == [b"ab"]
    made.append(Output("stdout", b"c"))
    assert [entry.event.data for entry in made.after(first[-1].sequence)] == [b"c"]
    assert [entry.event.data for entry in made.after(0)] == [b"ab", b"c"]


def test_streams_are_not_mixed():
    made = ring()
    for stream in ("stdout", "stderr", "stdout"):
        made.append(Output(stream, b"x"))
    assert [entry.event.stream for entry in made.after(0)] == ["stdout", "stderr", "stdout"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.integers(0, 3000), st.booleans()), max_size=80
    )
)
def test_every_byte_is_there_or_counted_and_memory_is_bounded(pieces):
    made = ring(1000)
    written = {"stdout": 0, "stderr": 0}
    made.append(VERDICT)
    for stream, size, take in pieces:
        made.append(Output(stream, b"x" * size))
        written[stream] += size
        if take:
            made.after(0)
        kept = sum(len(entry.event.data) for entry in made.entries() if isinstance(entry.event, Output))
        assert kept <= 2 * 1000 + MERGE_BYTES + 3000
    made.append(RESULT)
    entries = made.entries()
    sequences = [entry.sequence for entry in entries]
    assert sequences == sorted(set(sequences))
    assert (entries[0].event, entries[-1].event.outcome) == (VERDICT, Outcome.OK)
    for stream, total in written.items():
        assert accounted(entries, stream) == total


def test_a_flood_of_tiny_pieces_is_bounded_in_number():
    made = ring(1 << 20)
    for number in range(3 * EVENTS_MAX):
        made.append(Output("stdout" if number % 2 else "stderr", b"x"))
        made.after(0)
    entries = made.entries()
    assert len(entries) <= EVENTS_MAX
    assert accounted(entries, "stdout") + accounted(entries, "stderr") == 3 * EVENTS_MAX


@given(
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.integers(0, 3000), st.booleans()), max_size=80
    )
)
def test_a_reader_gets_every_byte_or_hears_how_many_it_missed(pieces):
    made, cursor, got = ring(1000), 0, []
    for stream, size, take in [*pieces, ("stdout", 1, True)]:
        made.append(Output(stream, b"x" * size))
        if take and (fresh := made.after(cursor)):
            cursor = fresh[-1].sequence
            got += fresh
    for stream in ("stdout", "stderr"):
        total = sum(size for name, size, _ in pieces if name == stream) + (stream == "stdout")
        assert accounted(got, stream) == total


def test_a_reader_that_keeps_up_loses_nothing_however_much_it_is():
    made, cursor = ring(1 << 30), 0
    for _ in range(200):
        made.append(Output("stdout", b"x" * 65536))
        fresh = made.after(cursor)
        cursor = fresh[-1].sequence
        assert [(len(entry.event.data), entry.event.dropped_bytes) for entry in fresh] == [(65536, 0)]
    entries = made.entries()
    assert sum(len(entry.event.data) for entry in entries) <= OUTPUT_MAX_BYTES
    assert accounted(entries, "stdout") == 200 * 65536


def test_displays_have_a_budget_and_are_then_counted():
    made = ring()
    half = Display({"image/png": b"x" * (DISPLAY_TOTAL_BYTES // 2)})
    for _ in range(3):
        made.append(half)
    last = made.entries()[-1].event
    assert (list(last.data), last.dropped_bytes) == (["text/plain"], DISPLAY_TOTAL_BYTES // 2)
    assert "8,388,608 bytes" in last.data["text/plain"]
    for _ in range(2 * DISPLAYS_MAX):
        made.append(Display({}))
    assert len(made.entries()) <= DISPLAYS_MAX + 1


def test_a_new_execution_forgets_the_last_and_counts_on():
    made = ring()
    made.append(RESULT)
    before = made.entries()[-1].sequence
    made.begin("execution-2")
    made.append(VERDICT)
    assert [entry.sequence for entry in made.entries()] == [before + 1]
    assert made.first_sequence == before + 1


async def test_a_feed_keeps_what_its_reader_has_not_taken_of_the_last_execution():
    made = ring()
    feed = Feed(made, 0)
    made.append(RESULT)
    feed.keep()
    made.begin("execution-2")
    made.append(VERDICT)
    items = await feed.take() + await feed.take()
    assert [(item.execution_id, type(item.event)) for item in items] == [
        ("execution-1", Result),
        ("execution-2", Verdict),
    ]
    feed.end("over")
    assert await feed.take() == []


def test_a_call_stays_until_it_has_its_answer():
    ring = EventRing(1000)
    ring.begin("x")
    for name in ("a", "b"):
        ring.append(ToolCall(name, "tool", "{}", 1.0))
    ring.append(Output("stdout", b"."))
    ring.answered("a")
    ring.answered("never")
    assert [entry.event.call_id for entry in ring.entries() if isinstance(entry.event, ToolCall)] == ["b"]
    ring.append(ToolCallOver("b", "timeout"))
    assert [type(entry.event) for entry in ring.entries()] == [Output, ToolCallOver]
    assert [entry.sequence for entry in ring.entries()] == sorted(entry.sequence for entry in ring.entries())


def test_calls_given_up_in_a_loop_are_not_kept_without_end():
    ring = EventRing(1000)
    ring.begin("x")
    for number in range(5000):
        ring.append(ToolCall(f"t.{number}", "tool", "{}", 1.0))
        ring.append(ToolCallOver(f"t.{number}", "cancelled"))
    assert len(ring.entries()) <= 256
    assert ring.entries()[-1].event == ToolCallOver("t.4999", "cancelled")
