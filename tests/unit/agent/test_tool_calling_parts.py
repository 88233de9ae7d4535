"""What JSON tool calling needs of pure parts: calls in replies, what a model is offered and told."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandboxd_client import DirectResult, ModelReply, ToolImage, ToolState, ToolUse, tool
from sandboxd_client.agent.parsing import ParseProblem
from sandboxd_client.agent.tool_calling import (
    Answer,
    ParsedCalls,
    answer_of,
    offer_of,
    parse_calls,
    told_result,
)
from sandboxd_client.agent.tool_notes import offered, told_calls
from sandboxd_client.models import ToolCall
from sandboxd_client.results import Execution, Outcome
from sandboxd_client.tools.values import encode


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('{"name": "f", "arguments": {"x": 1}}', [("f", {"x": 1})]),
        ('I do.\n```json\n{"name": "f", "arguments": {"x": 1}}\n```', [("f", {"x": 1})]),
        ('<tool_call>{"name": "f", "parameters": {}}</tool_call>', [("f", {})]),
        (
            '[{"name": "f", "arguments": {}}, {"name": "g", "arguments": {"y": [1]}}]',
            [("f", {}), ("g", {"y": [1]})],
        ),
        ('{"type": "function", "function": {"name": "f", "arguments": "{\\"x\\": 1}"}}', [("f", {"x": 1})]),
        (
            '{"function": "f", "args": {"x": {"name": "g", "arguments": {}}}}',
            [("f", {"x": {"name": "g", "arguments": {}}})],
        ),
        ('{"name": broken {"name": "f", "arguments": {}}', [("f", {})]),
    ],
)
def test_calls_written_as_text_are_found(text, calls):
    parsed = parse_calls(ModelReply(text))
    assert isinstance(parsed, ParsedCalls)
    assert not parsed.native
    assert [(call.name, json.loads(call.arguments)) for call in parsed.calls] == calls


@pytest.mark.parametrize(
    "text",
    ["", "Hello", '{"answer": 1}', '{"name": 3, "arguments": {}}', '{"name": "f"}', "```python\nf()\n```"],
)
def test_what_calls_nothing_is_a_problem_that_says_how(text):
    parsed = parse_calls(ModelReply(text))
    assert isinstance(parsed, ParseProblem)
    assert parsed.code == "no_call"
    assert "final_answer" in parsed.message


def test_native_calls_come_first_and_are_bounded():
    reply = ModelReply('{"name": "g", "arguments": {}}', tuple(ToolCall("f", "{}") for _ in range(30)))
    parsed = parse_calls(reply)
    assert isinstance(parsed, ParsedCalls)
    assert parsed.native
    assert {call.name for call in parsed.calls} == {"f"}
    assert len(parsed.calls) == 16


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.sampled_from('{}[]":, \\nametrgufco01\n'), max_size=200) | st.text(max_size=100))
def test_no_reply_makes_the_parser_raise(text):
    parse_calls(ModelReply(text))
    answer_of(ToolCall("final_answer", text))


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ('{"answer": 3}', Answer(3)),
        ('{"answer": null}', Answer(None)),
        ('{"result": 3}', Answer({"result": 3})),
        ("3", Answer(3)),
        ('"x"', Answer("x")),
        ("{}", None),
        ("", None),
        ("{", None),
    ],
)
def test_an_answer_is_what_was_meant_or_none(arguments, answer):
    assert answer_of(ToolCall("final_answer", arguments)) == answer


def test_marks_of_the_wire_are_written_out_for_a_model():
    def f(image: ToolImage, raw: list[bytes], frame: pd.DataFrame, text: str) -> None: ...

    text = json.dumps(offer_of(tool(f)).parameters)
    assert '"$sandboxd": "' not in text.replace('"const": ', "")
    properties = offer_of(tool(f)).parameters["properties"]
    assert properties["image"]["properties"]["$sandboxd"] == {"const": "image"}
    assert properties["raw"]["items"]["required"] == ["$sandboxd", "base64"]
    assert properties["text"] == {"type": "string"}


def result(**fields):
    return DirectResult(**{"call_id": "c", "tool": "f", "state": ToolState.FINISHED, **fields})


def test_a_result_is_told_bounded_inert_and_without_data():
    assert told_result(result(value_json='{"a": 1}'), 100) == '{"a": 1}'
    assert told_result(result(value_json='"\x1b[2J\u202e"'), 100) == '"\\x1b[2J\\u202e"'
    assert "characters left out" in told_result(result(value_json='"' + "x" * 500 + '"'), 100)
    image = encode({"picture": ToolImage("image/png", b"x" * 300), "n": 1})
    assert told_result(result(value_json=image), 1000) == '{"picture": "<image/png of 300 bytes>", "n": 1}'


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        (ToolState.DENIED, "TOOL_ARGUMENTS", "Correct the arguments"),
        (ToolState.DENIED, "TOOL_BUDGET", "Answer with what you have"),
        (ToolState.FAILED, "ValueError", "The call did not finish (ValueError): why"),
        (ToolState.TIMED_OUT, "TOOL_TIMEOUT", "look before you call it again"),
        (ToolState.CUT_OFF, "UNREACHABLE", "look before you call it again"),
    ],
)
def test_a_failure_says_why_and_what_to_do(state, code, said):
    assert said in told_result(result(state=state, code=code, message="why"), 100)


def uses(*wanted):
    return tuple(ToolUse(f"t{at}", name, state, code) for at, (name, state, code) in enumerate(wanted))


def test_after_a_failure_each_kind_of_end_is_told_once_with_its_count():
    calls = uses(
        ("send", ToolState.FINISHED, ""),
        ("send", ToolState.FINISHED, ""),
        ("look", ToolState.FAILED, "KeyError"),
        ("drop", ToolState.DENIED, "TOOL_DENIED"),
        ("wait", ToolState.TIMED_OUT, "TOOL_TIMEOUT"),
        ("late", ToolState.CUT_OFF, ""),
        ("\x1b[2J", ToolState.UNKNOWN, ""),
    )
    told = "\n".join(told_calls(Execution("e", Outcome.ERROR, tool_calls=calls, tool_calls_left_out=3)))
    assert "- send: finished, 2 times" in told
    assert "- look: failed (KeyError)" in told
    assert "- drop: denied, so not run (TOOL_DENIED)" in told
    assert "- wait: not answered in time (whether it took effect is not known) (TOOL_TIMEOUT)" in told
    assert "- late: cut off by the end of the block" in told
    assert "\x1b" not in told
    assert "- and 3 more" in told
    assert told.endswith("do not call it again for the same thing.")
    assert list(told_calls(Execution("e", Outcome.OK, tool_calls=calls))) == []
    assert list(told_calls(Execution("e", Outcome.ERROR))) == []
    failed = told_calls(Execution("e", Outcome.ERROR, tool_calls=calls[2:3]))
    assert "taken effect" not in "\n".join(failed)


def test_a_long_list_of_ends_is_cut_with_the_rest_counted():
    calls = uses(*[(f"f{at}", ToolState.FINISHED, "") for at in range(30)])
    told = list(told_calls(Execution("e", Outcome.ERROR, tool_calls=calls)))
    assert "- and 10 more" in told


def test_only_tools_that_may_be_called_are_offered():
    def f(x: int) -> int: ...

    tools = [
        tool(f, name=name, callers=callers)
        for name, callers in (("a", "code"), ("b", "direct"), ("c", "both"), ("d", "both"))
    ]
    allowed = frozenset({"a", "b", "c"})
    assert [one.name for one in offered(tools, allowed, "code")] == ["a", "c"]
    assert [one.name for one in offered(tools, allowed, "direct")] == ["b", "c"]
