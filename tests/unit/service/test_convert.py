"""Conversion: each value has its message, and no claim of a guest makes one that its client cannot take."""

from __future__ import annotations

import pytest
from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Decision, Display, FinalAnswer, Outcome, Output, ProgramError, Result, Verdict
from sandboxd.service.convert import DECISIONS, DISPLAY_MAX_BYTES, OUTCOMES, event_message, seconds
from sandboxd.sessions import Item, Refusal

MESSAGE_MAX = 4 << 20
WIDE = "\N{GRINNING FACE}"


def message(event) -> pb.SessionEvent:
    return event_message(Item(1, "execution-1", 2, event))


def test_each_outcome_and_decision_has_its_number():
    assert set(OUTCOMES.values()) == set(pb.Outcome.values()) - {0}
    assert set(DECISIONS.values()) == set(pb.Decision.values()) - {0}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (Verdict(Decision.ALLOW), "verdict"),
        (Output("stdout", b"x"), "stdout"),
        (Output("stderr", b"", dropped_bytes=3), "stderr"),
        (Output("stdout", b""), "stdout"),
        (Display({"text/plain": "x"}), "display"),
        (Result(Outcome.OK), "result"),
        (Refusal(SandboxdError(Code.QUOTA_QUEUE, "x")), "refused"),
    ],
)
def test_each_event_has_its_field(event, kind):
    made = message(event)
    assert made.WhichOneof("event") == kind
    assert (made.request_id, made.execution_id, made.sequence) == (1, "execution-1", 2)


def test_what_was_not_measured_is_absent():
    usage = message(Result(Outcome.OK)).result.usage
    assert not usage.HasField("cpu_seconds")
    assert not message(Result(Outcome.OK)).result.HasField("text")


@pytest.mark.parametrize("text", ["x", WIDE, "\ud800"])
def test_the_largest_claims_still_fit_a_message(text):
    huge = text * 5_000_000
    result = Result(
        Outcome.ERROR,
        text=huge,
        error=ProgramError(huge, huge, huge, line=10**12),
        final_answer=FinalAnswer(json=huge, text=huge),
    )
    assert message(result).result.final_answer.json == ""
    assert len(message(result).SerializeToString()) <= MESSAGE_MAX
    display = Display({"text/html": huge, "image/png": b"x" * DISPLAY_MAX_BYTES, "text/plain": "kept"})
    made = message(display)
    assert len(made.SerializeToString()) <= MESSAGE_MAX
    kept = made.display.data["text/plain"].text
    assert kept.startswith("kept\n[image/png left out: ")
    assert made.display.dropped_bytes >= 5_000_000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(SandboxdError) as caught:
        seconds(value)
    assert caught.value.code == Code.INVALID_REQUEST
