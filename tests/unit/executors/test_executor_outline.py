"""What stands outside the strings of a JSON text, against the parser's own view of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxd.executors.outline import containers, outline

TEXT = st.text(alphabet='\\"[]{},:ab\u00e4\n')
VALUES = st.recursive(
    TEXT | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_strings_are_left_out_whatever_they_hold(value: Any) -> None:
    outside = outline(json.dumps(value, ensure_ascii=False).encode(), strings=1000)
    assert outside == outside_of(value).encode()
    assert containers(outside) == count(value)


def test_many_strings_are_told_without_being_taken_apart() -> None:
    assert outline(b'["a","b","c"]', strings=3) == b"[,,]"
    assert outline(b'["a","b","c"]', strings=2) is None


@pytest.mark.parametrize("text", [b'"', b'\\"', b'["a', b"", b'\\\\"["\\'])
def test_what_is_no_json_raises_nothing(text: bytes) -> None:
    outline(text, strings=5)


def outside_of(value: Any) -> str:
    if isinstance(value, str):
        return ""
    if isinstance(value, list):
        return f"[{', '.join(map(outside_of, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f": {outside_of(item)}" for item in value.values()) + "}"
    return json.dumps(value)


def count(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(count, value)) if isinstance(value, list) else 0
