"""What a client registers: each refusal names the tool and the key."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import ToolCallers, ToolSpec
from sandboxd.tools import specs

FINE = ToolSpec("search", "Find.", '{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}')


def refusal(*wanted: ToolSpec) -> SandboxdError:
    with pytest.raises(SandboxdError) as caught:
        specs.read(wanted)
    assert caught.value.code == Code.TOOL_INVALID
    assert caught.value.failure == FailureClass.NOT_STARTED
    return caught.value


def test_what_is_right_is_taken() -> None:
    more = dataclasses.replace(
        FINE, name="other_2", is_async=True, callers=ToolCallers.DIRECT, returns_json='{"type":"integer"}'
    )
    tools = specs.read([FINE, more])
    assert list(tools) == ["search", "other_2"]
    assert tools["search"].may_call(direct=True)
    assert tools["search"].may_call(direct=False)
    assert not tools["other_2"].may_call(direct=False)
    assert tools["search"].returns is None
    (told,) = json.loads(specs.for_guest(tools))
    assert told["name"] == "search", "what code may not call, the guest is not told of"
    assert json.loads(told["parameters"])["additionalProperties"] is False
    assert specs.for_guest({}) == ""


@pytest.mark.parametrize(
    "name",
    ["", "1a", "a b", "a-b", "_private", "__init__", "a" * 65, "class", "None", "match", "case", "type", "print", "open", "eval", "ValueError",
     "any", "tools", "display", "final_answer", "help", "exit", "ToolError", "ToolTimeout", "\u00e4", "\uff41", "a\n", "a.b"],
)  # fmt: skip
def test_names_that_would_surprise_are_refused(name: str) -> None:
    error = refusal(dataclasses.replace(FINE, name=name))
    assert error.metadata["key"] == "name"
    assert "name" in error.message


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("description", {"description": "a" * 9000}),
        ("timeout_seconds", {"timeout_seconds": math.nan}),
        ("timeout_seconds", {"timeout_seconds": -1.0}),
        ("timeout_seconds", {"timeout_seconds": math.inf}),
        ("parameters_json", {"parameters_json": ""}),
        ("parameters_json", {"parameters_json": "[]"}),
        ("parameters_json", {"parameters_json": '{"type":"array"}'}),
        ("parameters_json", {"parameters_json": '{"properties":{}}'}),
        ("parameters_json", {"parameters_json": '{"type":"object","$sandboxd":"bytes"}'}),
        ("parameters_json", {"parameters_json": '{"type":"object","properties":{"a b":{}}}'}),
        ("parameters_json", {"parameters_json": '{"type":"object","properties":{"class":{}}}'}),
        ("parameters_json", {"parameters_json": '{"type":"object","properties":{"__proto__":{}}}'}),
        ("parameters_json", {"parameters_json": '{"type":"object","required":["a"]}'}),
        ("parameters_json", {"parameters_json": '{"type":"object","properties":{"a":{"pattern":"a"}}}'}),
        ("returns_json", {"returns_json": "{"}),
        ("returns_json", {"returns_json": '{"$ref":"x"}'}),
    ],
)
def test_each_key_is_checked(key: str, change: dict[str, Any]) -> None:
    error = refusal(FINE, dataclasses.replace(FINE, name="second", **change))
    assert (error.metadata["tool"], error.metadata["key"]) == ("second", key)


def test_number_and_size_are_bounded() -> None:
    assert len(specs.read([dataclasses.replace(FINE, name=f"t{n}") for n in range(128)])) == 128
    assert refusal(*(dataclasses.replace(FINE, name=f"t{n}") for n in range(129))).metadata["key"] == "tools"
    assert refusal(FINE, FINE).metadata["key"] == "name"
    large = [dataclasses.replace(FINE, name=f"t{n}", description="a" * 8000) for n in range(100)]
    assert refusal(*large).metadata["key"] == "tools"


def test_others_may_pass_only_where_it_says_so() -> None:
    opened = '{"type":"object","properties":{},"additionalProperties":{"type":"integer"}}'
    tools = specs.read([dataclasses.replace(FINE, parameters_json=opened)])
    assert tools["search"].parameters.raw["additionalProperties"] == {"type": "integer"}


def test_all_schemas_together_are_bounded_as_they_are_written_out() -> None:
    """They are read on the loop that serves all: half a megabyte of them took it for 70 ms, as often as a client liked."""
    many = json.dumps({"type": "object", "properties": {f"p{n}": True for n in range(1000)}})
    assert (
        "nodes"
        in refusal(
            *(dataclasses.replace(FINE, name=f"t{n}", parameters_json=many) for n in range(30))
        ).message
    )
    long = {"default": "d" * 15_000}
    named = {f"p{n}": {"$ref": "#/$defs/long"} for n in range(4)}
    text = json.dumps({"type": "object", "$defs": {"long": long}, "properties": named})
    assert (
        "characters"
        in refusal(
            *(dataclasses.replace(FINE, name=f"t{n}", parameters_json=text) for n in range(30))
        ).message
    )
