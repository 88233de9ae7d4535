"""Values: read strictly, written anew; what two parsers could disagree about never passes."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxd.tools import values
from sandboxd.tools.values import Tagged, ValueFormError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(blacklist_categories=("Cs",))).filter(lambda key: key != values.TAG), inner, max_size=5),
    max_leaves=30,
)  # fmt: skip


@given(JSON, st.booleans())
def test_plain_data_arrives_as_it_was(value: Any, ascii_only: bool) -> None:
    read = values.read(json.dumps(value, ensure_ascii=ascii_only, indent=1))
    assert json.loads(read.text) == value
    assert read.seen == value
    assert read.size_bytes == len(read.text.encode())
    assert values.read(read.text) == read, "written again it is the same"


@settings(max_examples=300)
@given(st.text(alphabet='[]{}",:0123456789.eE+-\\u dDfF$sandboxd nulltrue', max_size=60))
def test_any_text_is_a_value_or_refused(text: str) -> None:
    try:
        read = values.read(text)
    except ValueFormError as error:
        assert str(error)
    else:
        assert json.loads(read.text) == json.loads(text)


FRAME = {
    "$sandboxd": "dataframe",
    "columns": ["a", 2],
    "dtypes": ["int64", "object"],
    "data": [[1, None], ["x", 1.5]],
    "index": None,
}
INDEX = {"name": None, "dtype": "object", "data": ["r1", "r2"]}


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({"$sandboxd": "bytes", "base64": ""}, Tagged("bytes", 0)),
        ({"base64": "AAE=", "$sandboxd": "bytes"}, Tagged("bytes", 2)),
        ({"$sandboxd": "image", "mime": "image/webp", "base64": "AA=="}, Tagged("image", 1)),
        (FRAME, Tagged("dataframe", 0)),
        ({**FRAME, "index": INDEX}, Tagged("dataframe", 0)),
        (
            {"$sandboxd": "dataframe", "columns": [], "dtypes": [], "data": [], "index": None},
            Tagged("dataframe", 0),
        ),
        (
            {"$sandboxd": "object", "pairs": [["$sandboxd", "bytes"], ["b", [1]]]},
            {"$sandboxd": "bytes", "b": [1]},
        ),
    ],
)
def test_tagged_values_are_one_value(value: Any, seen: Any) -> None:
    read = values.read(json.dumps({"x": value}))
    assert read.seen == {"x": seen}
    assert json.loads(read.text) == {"x": value}, "passed on with its tag"


@pytest.mark.parametrize(
    "value",
    [
        {"$sandboxd": "pickle", "base64": ""}, {"$sandboxd": None}, {"$sandboxd": ["bytes"], "base64": ""}, {"$sandboxd": "bytes"},
        {"$sandboxd": "bytes", "base64": "", "x": 1}, {"$sandboxd": "bytes", "base64": "A"}, {"$sandboxd": "bytes", "base64": "A-_="},
        {"$sandboxd": "bytes", "base64": "AA\n=="}, {"$sandboxd": "bytes", "base64": [1]}, {"$sandboxd": "bytes", "base64": "===="},
        {"$sandboxd": "image", "mime": "image/svg+xml", "base64": ""}, {"$sandboxd": "image", "mime": [], "base64": ""},
        {"$sandboxd": "image", "mime": "text/html", "base64": ""},
        {"$sandboxd": "object", "pairs": {}}, {"$sandboxd": "object", "pairs": [["a"]]}, {"$sandboxd": "object", "pairs": [[1, 2]]},
        {"$sandboxd": "object", "pairs": [["a", 1], ["a", 2]]}, {"$sandboxd": "object", "pairs": [["a", {"$sandboxd": "x"}]]},
        {**FRAME, "columns": ["a"]}, {**FRAME, "columns": ["a", None]}, {**FRAME, "columns": ["a", True]}, {**FRAME, "dtypes": [1, 2]},
        {**FRAME, "data": [[1], ["x", 2]]}, {**FRAME, "data": [[1, [2]], [1, 2]]}, {**FRAME, "data": [[1, {}], [1, 2]]}, {**FRAME, "data": "ab"},
        {**FRAME, "index": []}, {**FRAME, "index": {**INDEX, "data": [1]}}, {**FRAME, "index": {**INDEX, "name": 1}}, {**FRAME, "index": {"name": "a"}},
        {**FRAME, "more": 1}, {**FRAME, "dtypes": ["int64", "x" * 100]}, {**FRAME, "index": {**INDEX, "data": 5}},
    ],
)  # fmt: skip
def test_a_tag_that_is_not_exactly_right_is_refused(value: Any) -> None:
    with pytest.raises(ValueFormError):
        values.read(json.dumps({"x": [value]}))


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", "-Infinity", "1e999", "[-1e999]", '{"a":1,"a":2}', '{"x":{"a":1,"b":2,"a":1}}', '"\\ud800"', '{"\\udfff":1}',
     "1" * 1001, "-" + "1" * 1001, "[" * 66 + "]" * 66, "[" * 200_000, '{"a":' * 5000, "", " ", "[1,]", "{'a':1}", "01", "1 2", "\ufeff1", "[1]x",
     "[" + "1," * 50_000 + "1]", '"' + "a" * (3 << 20) + '"', '"' + "\u00e4" * (2 << 20) + '"'],
)  # fmt: skip
def test_what_is_no_value_is_refused_in_words_of_our_own(text: str) -> None:
    with pytest.raises(ValueFormError) as caught:
        values.read(text)
    assert len(str(caught.value)) < 200


def test_the_bounds_are_as_wide_as_they_say() -> None:
    assert values.read("[" * 64 + "]" * 64).nodes == 64
    assert values.read("1" * 1000).seen == int("1" * 1000)
    assert values.read("[" + "1," * 49_998 + "1]").nodes == 50_000
    assert values.read('"' + "a" * ((3 << 20) - 2) + '"').size_bytes == 3 << 20


@pytest.mark.parametrize("unit", ["[],", "{},", '"[\\\\",[],'])
def test_a_million_containers_are_refused_before_they_are_made(unit: str) -> None:
    """The parser held every thread of the process while it made them."""
    text = f"[{unit * (values.MAX_VALUE_BYTES // len(unit) - 10)}0]"
    tracemalloc.start()
    try:
        with pytest.raises(ValueFormError, match="more than 50,000 values"):
            values.read(text)
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()


def test_brackets_in_text_are_no_containers() -> None:
    text = json.dumps(["[{" * 400_000, '\\"[' * 200_000, "\\" * 9])
    assert json.loads(values.read(text).text) == json.loads(text)


def test_what_is_too_much_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing a million integers held every thread of the process for half a second."""
    monkeypatch.setattr(values, "_encode", lambda _: pytest.fail("it was written"))
    with pytest.raises(ValueFormError, match="more than 50,000 values"):
        values.read(f"[{'0,' * 100_000}0]")
