"""What a model reads of tools: Python that parses, with the types that the daemon checks."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any, Literal, NotRequired, TypedDict

import pandas as pd
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sandboxd_client import ToolImage, tool
from sandboxd_client.tools import stubs


class Hit(TypedDict):
    title: str
    score: NotRequired[float]


@dataclasses.dataclass
class Order:
    item: str
    count: int = 1


@tool
def search(query: str, limit: int = 10, kind: Literal["new", "old"] = "new", key: str = "sk") -> list[Hit]:
    """Search the shop.

    Args:
        query: what to look for.
    """
    raise NotImplementedError


@tool
async def order(order: Order, at: tuple[int, str], extra: dict[str, Any] | None = None) -> None: ...


@tool
def draw(frame: pd.DataFrame, mask: ToolImage, raw: bytes) -> ToolImage:
    """Draw."""
    raise NotImplementedError


def test_stubs_are_python_with_types_and_words():
    hostile = dataclasses.replace(search, description='Search the shop. It\'s \\d "good" """really""".')
    text = stubs([hostile, order, draw])
    ast.parse(text)
    assert "class Hit(TypedDict):\n    title: str\n    score: NotRequired[float]" in text
    assert text.count("class ") == 2
    assert (
        "def search(query: str, limit: int = 10, kind: Literal['new', 'old'] = 'new', key: str = ...) -> list[Hit]:"
        in text
    )
    assert "async def order(" in text
    assert "order: Order" in text
    assert "at: tuple[int, str]" in text
    assert "extra: dict | None = None" in text
    assert "-> None: ..." in text
    assert "def draw(frame: pandas.DataFrame, mask: Image, raw: bytes) -> Image:" in text
    assert "Args:\n        query: what to look for." in text
    doc = ast.get_docstring(ast.parse(text).body[2])
    assert doc.startswith("Search the shop. It's \\d \"good\" '''really'''.")


def test_two_shapes_of_one_name_are_two_classes():
    first = tool(lambda: None, name="first", description="")
    made = [
        dataclasses.replace(
            first,
            name=name,
            returns={"type": "object", "title": "Hit", "properties": {key: {"type": "string"}}},
        )
        for name, key in (("a", "x"), ("b", "y"), ("c", "x"))
    ]
    text = stubs(made)
    ast.parse(text)
    assert text.count("class Hit(TypedDict)") == text.count("class Hit2(TypedDict)") == 1
    assert "def b() -> Hit2: ..." in text
    assert "def c() -> Hit: ..." in text


SCHEMAS = st.recursive(
    st.sampled_from(
        [
            {},
            True,
            {"type": "string"},
            {"type": ["integer", "null"]},
            {"enum": ["a", 1, None]},
            {"const": 'q"'},
            {"$sandboxd": "image"},
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda one: {"type": "array", "items": one}),
        st.lists(inner, min_size=1, max_size=3).map(lambda many: {"anyOf": many}),
        st.dictionaries(st.text(max_size=5) | st.sampled_from(["a", "b", "class"]), inner, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties, "title": "T"}
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example({}, {}, '"', False)
@example({}, {}, 'say "hi"', True)
@example({}, {}, "\\", False)
@example(True, {}, '\x00"""', False)
@given(SCHEMAS, SCHEMAS, st.text(max_size=40), st.booleans())
def test_whatever_the_schema_the_stub_parses(parameter, returns, description, is_async):
    bare = tool(lambda: None, name="bare", description=description)
    made = dataclasses.replace(
        bare,
        is_async=is_async,
        parameters={"type": "object", "properties": {"x": parameter}, "required": ["x"]},
        returns=returns if isinstance(returns, dict) else None,
    )
    ast.parse(stubs([made]))
