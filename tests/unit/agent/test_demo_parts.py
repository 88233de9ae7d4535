from __future__ import annotations

import io

import pytest
from sandboxd_client.agent import CodeParsed, ExecutionFinished
from sandboxd_client.demo.check import differences
from sandboxd_client.demo.script import REPLIES
from sandboxd_client.demo.view import View
from sandboxd_client.results import Execution, ExecutionError, Logs, Outcome
from tiny_sandbox import denied

WANTED = {"rows": 3, "correlations": {"a": -0.5, "b": 0.25}}


def test_the_right_answer_differs_in_nothing():
    assert differences({"rows": 3, "correlations": {"a": -0.5 + 1e-9, "b": 0.25}}, WANTED) == []


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (None, "form"),
        ("0.5", "form"),
        ({"rows": 3}, "form"),
        ({"rows": 3, "correlations": ["a"]}, "form"),
        ({"rows": 4, "correlations": {"a": -0.5, "b": 0.25}}, "rows"),
        ({"rows": 3, "correlations": {"b": 0.25, "a": -0.5}}, "order"),
        ({"rows": 3, "correlations": {"a": -0.5}}, "b: None"),
        ({"rows": 3, "correlations": {"a": "-0.5", "b": 0.25}}, "a: '-0.5'"),
        ({"rows": 3, "correlations": {"a": float("nan"), "b": 0.25}}, "a: nan"),
        ({"rows": 3, "correlations": {"a": 0.5, "b": 0.25}}, "a: 0.5"),
    ],
)
def test_any_other_answer_is_told_apart(answer, word):
    assert word in "\n".join(differences(answer, WANTED))


def shown(event) -> str:
    out = io.StringIO()
    View(out).event(event)
    return out.getvalue()


def test_what_a_sandbox_or_a_model_says_cannot_drive_the_terminal():
    hostile = "\x1b]0;title\x07\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}\x9b1m"
    error = ExecutionError("E", "", hostile)
    execution = Execution("id", Outcome.ERROR, logs=Logs([hostile], []), error=error)
    for text in (shown(ExecutionFinished(1, execution)), shown(CodeParsed(1, hostile, hostile))):
        assert text.replace("\n", "").isprintable()
        assert "\\x1b[2J" in text


def test_long_output_is_cut_in_the_middle():
    lines = "\n".join(f"line {number}" for number in range(100))
    text = shown(ExecutionFinished(1, Execution("id", Outcome.OK, logs=Logs([lines], []))))
    assert "line 0\n" in text
    assert "line 99\n" in text
    assert "[... 80 lines left out ...]" in text


def test_a_denial_is_shown_with_its_place_and_hint():
    assert "line 1, column 8: not allowed Use x." in shown(
        ExecutionFinished(1, denied("not allowed", "Use x.", 1, 8))
    )


def test_the_script_is_text_alone():
    assert all(isinstance(reply, str) for reply in REPLIES)
