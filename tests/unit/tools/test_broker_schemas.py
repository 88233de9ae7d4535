"""The JSON Schema subset: what it takes, what it refuses, and what a validation may cost."""

from __future__ import annotations

import json
import sys
import threading
import time
import tracemalloc
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sandboxd.tools import schemas, values
from sandboxd.tools.schemas import SchemaError


def read(schema: Any) -> schemas.Schema:
    return schemas.read(schema if isinstance(schema, str) else json.dumps(schema))


def problem(schema: Any, value: Any) -> str:
    return read(schema).problem_of(values.read(json.dumps(value)))


BYTES = {"$sandboxd": "bytes", "base64": "AAEC"}
IMAGE = {"$sandboxd": "image", "mime": "image/png", "base64": ""}
FRAME = {"$sandboxd": "dataframe", "columns": ["a"], "dtypes": ["int64"], "data": [[1]], "index": None}
ESCAPED = {"$sandboxd": "object", "pairs": [["$sandboxd", "bytes"]]}
NODE = {
    "$defs": {"N": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
    "$ref": "#/$defs/N",
}


@pytest.mark.parametrize(
    ("schema", "fits", "misfits"),
    [
        ({"type": "string"}, ["a", ""], [1, None, True, [], {}, BYTES]),
        ({"type": "integer"}, [1, 1.0, -(2**70)], [1.5, True, "1", None]),
        ({"type": "number"}, [1, 1.5], [True, "1"]),
        ({"type": "boolean"}, [True, False], [0, 1, None]),
        ({"type": "null"}, [None], [0, False, ""]),
        ({"type": "array"}, [[], [1]], ["a", {}, FRAME]),
        ({"type": "object"}, [{}, {"a": 1}, ESCAPED], [[], BYTES, IMAGE, FRAME]),
        ({"type": ["string", "null"]}, ["a", None], [1]),
        ({"$sandboxd": "bytes"}, [BYTES], [IMAGE, FRAME, "AAEC", {}, ESCAPED]),
        ({"$sandboxd": "image"}, [IMAGE], [BYTES]),
        ({"$sandboxd": "dataframe"}, [FRAME], [BYTES, {}]),
        ({}, [1, BYTES, {}], []),
        (True, [1, BYTES], []),
        (False, [], [1, None]),
        ({"enum": ["a", 1]}, ["a", 1], ["b", True, BYTES]),
        ({"const": {"a": [1]}}, [{"a": [1]}], [{"a": [1, 2]}, {}]),
        ({"items": {"type": "integer"}}, [[1], [], "no list"], [["a"]]),
        ({"prefixItems": [{"type": "string"}], "items": False}, [["a"], []], [["a", 1], [1]]),
        ({"minItems": 1, "maxItems": 2}, [[1], [1, 2]], [[], [1, 2, 3]]),
        ({"minLength": 1, "maxLength": 2}, ["a", "äö"], ["", "abc"]),
        ({"minimum": 1, "exclusiveMaximum": 3}, [1, 2.9], [0, 3]),
        ({"multipleOf": 0.5}, [1.5, 0], [0.3]),
        ({"properties": {"a": {"type": "string"}}, "additionalProperties": False}, [{"a": "b"}, {}], [{"b": 1}, {"a": 1}]),
        ({"additionalProperties": {"type": "integer"}}, [{"x": 1}], [{"x": "1"}]),
        ({"required": ["a"]}, [{"a": None}], [{}]),
        ({"anyOf": [{"type": "string"}, {"$sandboxd": "bytes"}]}, ["a", BYTES], [1]),
        ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, [1, 2.5], [2, 0.5]),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1], [3]),
        (NODE, [{"a": 1}], [{}, {"a": "b"}]),
    ],
)  # fmt: skip
def test_a_value_fits_or_not(schema: Any, fits: list[Any], misfits: list[Any]) -> None:
    for value in fits:
        assert problem(schema, value) == "", value
    for value in misfits:
        assert problem(schema, value), value


def test_the_subset_means_what_the_standard_means() -> None:
    plain = [1, 1.5, "a", "", None, True, [], [1], ["a"], {}, {"a": 1}, {"a": "b"}, {"b": 1}, [[1]], 10**30]
    tried = [
        {"type": "integer"}, {"type": ["array", "null"]}, {"enum": [1, "a", None]}, {"items": {"type": "integer"}},
        {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"maxLength": 0}, {"anyOf": [{"type": "string"}, {"minimum": 1.2}]},
        {"additionalProperties": False}, {"multipleOf": 3}, {"oneOf": [{"type": "number"}, {"type": "integer"}]},
    ]  # fmt: skip
    for schema in tried:
        for value in plain:
            assert (problem(schema, value) == "") == Draft202012Validator(schema).is_valid(value), (
                schema,
                value,
            )


@pytest.mark.parametrize(
    "schema",
    [
        "", "{", "NaN", "[]", '"string"', "5", '{"minimum": Infinity}', '"\\ud800"', "[" * 100_000, '{"const": ' + "[" * 7_000 + "]" * 7_000 + "}",
        {"pattern": "(a+)+$"}, {"patternProperties": {"a": {}}}, {"propertyNames": {}}, {"uniqueItems": True}, {"not": {}}, {"if": {}},
        {"$ref": "https://example.com/schema"}, {"$ref": "#"}, {"$ref": "#/$defs/A"}, {"$ref": "file:///etc/passwd"}, {"$dynamicRef": "#a"}, {"$id": "x"},
        {"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"},
        {"$defs": {"A": {"items": {"$ref": "#/$defs/B"}}, "B": {"anyOf": [{"$ref": "#/$defs/A"}]}}, "$ref": "#/$defs/A"},
        {"$defs": {"A": {}}, "$ref": "#/$defs/A", "type": "string"}, {"$defs": [], "type": "string"}, {"properties": {"a": {"$defs": {}}}},
        {"type": "strin"}, {"type": []}, {"type": [1]}, {"enum": []}, {"enum": "ab"}, {"required": "a"}, {"required": [1]}, {"anyOf": []},
        {"anyOf": {}}, {"properties": []}, {"properties": {"a": 1}}, {"minLength": -1}, {"minLength": 1.5}, {"minimum": "1"}, {"minimum": True},
        {"multipleOf": 0}, {"multipleOf": -1}, {"minimum": 1e301}, {"$sandboxd": "pickle"}, {"$sandboxd": ["bytes"]}, {"$sandboxd": {}},
        {"description": "a" * 20_000},
    ],
)  # fmt: skip
def test_anything_else_is_refused(schema: Any) -> None:
    with pytest.raises(SchemaError):
        read(schema)


def test_what_has_no_meaning_is_let_through_and_left_out() -> None:
    assert read(
        {"title": "T", "description": "D", "examples": [1], "format": "email", "type": "string"}
    ).raw == {"type": "string"}
    assert read({"type": "string", "default": "a"}).raw == {"type": "string", "default": "a"}, (
        "the guest shows it"
    )


def test_references_that_grow_are_counted_as_written_out() -> None:
    defs: dict[str, Any] = {"A0": {"type": "string"}}
    for step in range(1, 6):
        defs[f"A{step}"] = {"anyOf": [{"$ref": f"#/$defs/A{step - 1}"}] * 6}
    with pytest.raises(SchemaError, match="nodes"):
        read({"$defs": defs, "$ref": "#/$defs/A5"})
    nested: Any = {"type": "string"}
    for _ in range(20):
        nested = {"items": nested}
    with pytest.raises(SchemaError, match="levels"):
        read(nested)


def test_a_validation_that_costs_too_much_is_ended() -> None:
    schema = read(
        {
            "items": {
                "anyOf": [
                    *({"type": "string", "maxLength": length} for length in range(300)),
                    {"type": "integer"},
                ]
            }
        }
    )
    assert "too large" in schema.problem_of(values.read(json.dumps([1] * 40_000)))
    assert schema.problem_of(values.read(json.dumps([1] * 100))) == "", "each validation has its own steps"
    long = read({"items": {"enum": [*range(1900)]}})
    assert "too large" in long.problem_of(values.read(json.dumps([1899] * 40_000)))
    plain = read({"items": {"type": "object", "properties": {"a": {"type": "integer"}}}})
    assert plain.problem_of(values.read(json.dumps([{"a": 1}] * 20_000))) == "", (
        "what tools really pass is far below"
    )


def test_a_comparison_with_a_deep_constant_costs_what_it_goes_through() -> None:
    """One such call kept the thread that serves all sessions for fifteen seconds: only the first level was counted."""

    def deep(last: int) -> Any:
        made: Any = last
        for _ in range(10):
            made = {"a": made}
        return made

    given = values.read(json.dumps([deep(159)] * 4000))
    assert "too large" in read({"items": {"enum": [deep(last) for last in range(160)]}}).problem_of(given)
    assert not read({"items": {"enum": [deep(last) for last in (1, 159)]}}).problem_of(given)


@pytest.mark.parametrize("key", ["anyOf", "oneOf"])
def test_a_choice_keeps_no_errors_of_its_branches(key: str) -> None:
    """They were kept, each with its message: 40,000 of them took more than half a gigabyte."""
    schema = read({key: [{"items": {"required": ["y" * 8000]}}]})
    given = values.read(json.dumps([{}] * 40_000))
    tracemalloc.start()
    try:
        assert "valid under" in schema.problem_of(given)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "constant", [{"default": "d" * 10_000}, {"const": "c" * 10_000}, {"title": "t" * 10_000}]
)
def test_text_is_counted_wherever_a_reference_puts_it(constant: Any) -> None:
    """Half a megabyte of schemas was written out to 400, on the loop that serves all."""
    defs = {"text": constant, "many": {"allOf": [{"$ref": "#/$defs/text"}] * 40}}
    text = json.dumps({"$defs": defs, "properties": {f"p{n}": {"$ref": "#/$defs/many"} for n in range(20)}})
    if "title" in constant:
        assert len(json.dumps(read(text).raw)) < schemas.MAX_WRITTEN_CHARACTERS
    else:
        with pytest.raises(SchemaError, match="characters with its references"):
            read(text)


def test_a_default_is_a_constant_like_others() -> None:
    with pytest.raises(SchemaError, match="nodes"):
        read({"properties": {"x": {"default": [1] * 2000}}})


def test_a_long_validation_lets_other_threads_have_their_turn() -> None:
    schema = read(
        {
            "items": {
                "anyOf": [
                    *({"type": "string", "maxLength": length} for length in range(300)),
                    {"type": "integer"},
                ]
            }
        }
    )
    value = values.read(json.dumps([1] * 40_000))
    before = sys.getswitchinterval()
    turns = 0
    sys.setswitchinterval(10)  # nobody is made to give way
    try:
        worker = threading.Thread(target=schema.problem_of, args=(value,))
        worker.start()
        while worker.is_alive():
            turns += 1
            time.sleep(0)
    finally:
        sys.setswitchinterval(before)
    assert turns > 50


def test_a_message_holds_no_long_text_of_the_value() -> None:
    secret = "s3cret" * 100
    for value in (secret, [secret] * 50, {"k": secret}, {secret: 1}):
        said = problem({"anyOf": [{"type": "integer"}, {"type": "null"}]}, value)
        assert said
        assert len(said) <= 300
        assert secret not in said
    assert "['a'][0]" in problem({"properties": {"a": {"items": {"type": "integer"}}}}, {"a": ["x"]})


def test_numbers_out_of_reach_are_a_misfit_and_no_fault() -> None:
    for schema in ({"multipleOf": 0.1}, {"minimum": 1e299}, {"enum": [10**400]}, {"multipleOf": 3}):
        read(schema).problem_of(values.read("1" + "0" * 900))
        read(schema).problem_of(values.read("1e308"))
