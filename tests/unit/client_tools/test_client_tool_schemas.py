"""A function becomes a specification: schemas from annotations, words from docstrings, refusals that say what to do."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import functools
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict, Union

import pandas as pd
import pytest
from PIL import Image
from sandboxd_client import Tool, ToolDefinitionError, ToolImage, ToolTable, tool
from sandboxd_client.tools.definition import as_tools
from sandboxd_client.tools.shapes import shape_of
from sandboxd_client.tools.specs import spec_of
from sandboxd_client.tools.values import encode
from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.guest.tool_errors import CLASSES


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(TypedDict):
    """Where something is."""

    city: str
    zip: NotRequired[int]


@dataclasses.dataclass
class Order:
    item: str
    count: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)
    place: Optional["Place"] = None  # noqa: UP037, UP045 - forward references are what this is about


@dataclasses.dataclass
class Node:
    below: list[Node]


UserId = NewType("UserId", int)

SCHEMAS = [
    (str, {"type": "string"}, "a", "a"),
    (int, {"type": "integer"}, 3.0, 3),
    (float, {"type": "number"}, 3, 3.0),
    (bool, {"type": "boolean"}, True, True),
    (None, {"type": "null"}, None, None),
    (Any, {}, [1], [1]),
    (object, {}, {"a": 1}, {"a": 1}),
    (bytes, {"$sandboxd": "bytes"}, b"x", b"x"),
    (bytearray, {"$sandboxd": "bytes"}, b"x", bytearray(b"x")),
    (ToolImage, {"$sandboxd": "image"}, ToolImage("image/png", b"p"), ToolImage("image/png", b"p")),
    (list, {"type": "array"}, [1, "a"], [1, "a"]),
    (list[int], {"type": "array", "items": {"type": "integer"}}, [1, 2.0], [1, 2]),
    (Sequence[str], {"type": "array", "items": {"type": "string"}}, ["a"], ["a"]),
    (Iterable[str], {"type": "array", "items": {"type": "string"}}, ["a"], ["a"]),
    (set[int], {"type": "array", "items": {"type": "integer"}}, [1, 1], {1}),
    (frozenset[int], {"type": "array", "items": {"type": "integer"}}, [1, 1], frozenset({1})),
    (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}, [1, 2], (1, 2)),
    (
        tuple[int, str],
        {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
        },
        [1, "a"],
        (1, "a"),
    ),
    (dict, {"type": "object"}, {"a": 1}, {"a": 1}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1.0}, {"a": 1}),
    (Mapping[str, Any], {"type": "object"}, {"a": 1}, {"a": 1}),
    (Literal["a", 1], {"enum": ["a", 1]}, 1, 1),
    (Colour, {"enum": ["red", "blue"], "title": "Colour"}, "red", Colour.RED),
    (Level, {"enum": [1, 2], "title": "Level"}, 2, Level.HIGH),
    (Literal[Colour.RED], {"enum": ["red"]}, "red", Colour.RED),
    (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}, None, None),  # noqa: UP045
    (Union[int, str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "x", "x"),  # noqa: UP007
    (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, 2.0, 2),
    (
        list[Colour | int],
        {
            "type": "array",
            "items": {"anyOf": [{"enum": ["red", "blue"], "title": "Colour"}, {"type": "integer"}]},
        },
        ["blue", 2],
        [Colour.BLUE, 2],
    ),
    (Annotated[int, "How many."], {"type": "integer", "description": "How many."}, 1, 1),
    (UserId, {"type": "integer"}, 1, 1),
    (dt.date, {"type": "string", "format": "date"}, "2026-11-24", dt.date(2026, 11, 24)),
    (
        dt.datetime,
        {"type": "string", "format": "date-time"},
        "2026-11-24T01:02:03+00:00",
        dt.datetime(2026, 11, 24, 1, 2, 3, tzinfo=dt.UTC),
    ),
    (dt.time, {"type": "string", "format": "time"}, "01:02", dt.time(1, 2)),
    (uuid.UUID, {"type": "string", "format": "uuid"}, "0" * 32, uuid.UUID(int=0)),
    (Decimal, {"type": "string"}, "1.50", Decimal("1.50")),
    (Path, {"type": "string"}, "a/b", Path("a/b")),
    (pd.DataFrame, {"$sandboxd": "dataframe"}, None, None),
    (ToolTable, {"$sandboxd": "dataframe"}, None, None),
    (
        Place,
        {
            "type": "object",
            "title": "Place",
            "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}},
            "required": ["city"],
            "additionalProperties": False,
            "description": "Where something is.",
        },
        {"city": "Ulm"},
        {"city": "Ulm"},
    ),
]


@pytest.mark.parametrize(("annotation", "schema", "plain", "loaded"), SCHEMAS, ids=lambda one: str(one)[:40])
def test_an_annotation_gives_its_schema_and_its_value(annotation, schema, plain, loaded):
    shape = shape_of(annotation, "parameter 'x' of f")
    assert shape.schema == schema
    json.dumps(shape.schema)
    if plain is not None:
        assert shape.fits(plain)
        value = shape.load(plain)
        assert value == loaded
        assert type(value) is type(loaded)


@pytest.mark.parametrize(
    ("annotation", "plain"),
    [
        (int, True),
        (int, 1.5),
        (float, "1"),
        (str, 1),
        (list[int], ["a"]),
        (tuple[int, str], [1]),
        (dict[str, int], {"a": "b"}),
        (Literal["a"], "b"),
        (Literal[1], True),
        (Colour, "green"),
        (Place, {"zip": 1}),
        (Place, {"city": "Ulm", "more": 1}),
        (bytes, "x"),
        (int | None, "x"),
    ],
)
def test_what_is_of_another_shape_does_not_fit(annotation, plain):
    assert not shape_of(annotation, "x").fits(plain)


def test_a_dataclass_is_built_again_with_all_that_it_holds():
    shape = shape_of(Order, "x")
    assert shape.schema["required"] == ["item"]
    assert shape.schema["properties"]["place"]["anyOf"][0]["title"] == "Place"
    assert "description" not in shape.schema
    made = shape.load({"item": "pen", "count": 2.0, "place": {"city": "Ulm"}})
    assert made == Order("pen", 2, [], {"city": "Ulm"})


@dataclasses.dataclass
class Sum:
    terms: list[int]
    total: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(self.terms)


def test_a_dataclass_is_sent_with_all_fields_and_taken_with_those_of_its_constructor():
    taken, given = shape_of(Sum, "x"), shape_of(Sum, "x", result=True)
    assert list(taken.schema["properties"]) == taken.schema["required"] == ["terms"]
    assert list(given.schema["properties"]) == given.schema["required"] == ["terms", "total"]
    assert json.loads(encode(Sum([1, 2]))) == {"terms": [1, 2], "total": 3}
    assert taken.load({"terms": [1, 2]}) == Sum([1, 2])


class Pair(NamedTuple):
    a: int
    b: int


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (Node, "holds itself"),
        (dict[int, str], "keys are text"),
        (complex, "cannot pass"),
        (type, "cannot pass"),
        (Image.Image, "take a ToolImage"),
        (Pair, "cannot pass"),
        (Literal[b"x"], "use text or numbers"),
        (list[list[list[list[list[list[list[list[list[list[list[list[list[list[int]]]]]]]]]]]]]], "too deep"),
    ],
    ids=str,
)
def test_a_type_that_cannot_pass_is_refused_with_the_remedy(annotation, said):
    with pytest.raises(ToolDefinitionError, match=said):
        shape_of(annotation, "parameter 'x' of f")


def test_an_image_of_pil_may_be_returned_but_not_taken():
    assert shape_of(Image.Image, "x", result=True).schema == {"$sandboxd": "image"}


def search(
    query: str, limit: int = 10, kind: Literal["new", "old"] = "new", place: Place | None = None
) -> list[Place]:
    """Search the shop.

    Only what is in stock is found.

    Args:
        query: what to look for,
            in words.
        limit: how many (at most).
        kind (str): which ones.

    Returns:
        The places, best first.

    Raises:
        ValueError: never.
    """
    return [{"city": query}]


def test_a_function_becomes_a_specification():
    made = tool(search)
    assert made.name == "search"
    assert made.description == "Search the shop.\n\nOnly what is in stock is found."
    assert list(made.parameters["properties"]) == ["query", "limit", "kind", "place"]
    assert made.parameters["required"] == ["query"]
    assert made.parameters["additionalProperties"] is False
    properties = made.parameters["properties"]
    assert properties["query"] == {"type": "string", "description": "what to look for, in words."}
    assert properties["limit"] == {"type": "integer", "description": "how many (at most).", "default": 10}
    assert properties["kind"]["default"] == "new"
    assert properties["kind"]["description"] == "which ones."
    assert properties["place"]["default"] is None
    assert made.returns["type"] == "array"
    assert made.returns["description"] == "The places, best first."
    spec = spec_of(made)
    assert spec.callers == pb.TOOL_CALLERS_BOTH
    assert json.loads(spec.parameters_json) == made.parameters
    assert made("Ulm") == [{"city": "Ulm"}]


NUMPY = """Search the shop.

Longer.

Parameters
----------
query : str
    What to look for.
limit, kind : int
    How many.

Returns
-------
list of Place
    The places.
"""
SPHINX = """Search the shop.

Longer.

:param str query: What to
    look for.
:param limit: How many.
:type limit: int
:param kind: How many.
:returns: The places.
:rtype: list
"""
GOOGLE = """Search the shop.

Longer.

Args:
  query (str, optional): What to look for.
  limit: How many.
  kind: How many.

Returns:
  list[Place]: The places.
"""


@pytest.mark.parametrize("text", [NUMPY, SPHINX, GOOGLE], ids=["numpy", "sphinx", "google"])
def test_every_style_of_docstring_is_read(text):
    def find(query: str, limit: int, kind: int) -> list: ...

    find.__doc__ = text
    made = tool(find)
    assert made.description == "Search the shop.\n\nLonger."
    told = {name: schema["description"].lower() for name, schema in made.parameters["properties"].items()}
    assert told == {"query": "what to look for.", "limit": "how many.", "kind": "how many."}
    assert made.returns == {"type": "array", "description": "The places."}


def test_without_docstring_and_result_little_is_said():
    def plain(x: int): ...

    made = tool(plain)
    assert (made.description, made.returns) == ("", None)
    assert spec_of(made).returns_json == ""


def test_options_and_kinds_of_callables():
    @tool(name="look_up", description="Look.", callers="direct", timeout=2.5)
    async def anything(x: Annotated[int, "Which."]) -> None: ...

    assert isinstance(anything, Tool)
    spec = spec_of(anything)
    assert (spec.name, spec.description, spec.is_async, spec.timeout_seconds) == (
        "look_up",
        "Look.",
        True,
        2.5,
    )
    assert spec.callers == pb.TOOL_CALLERS_DIRECT
    assert asyncio.run(anything(1)) is None

    class Shop:
        """A shop."""

        def buy(self, item: str) -> int:
            """Buy something."""
            return len(item)

        async def __call__(self, item: str) -> int:
            """Ask for something."""
            return len(item)

    shop = Shop()
    bought, asked = as_tools([shop.buy, tool(shop, name="ask")])
    assert (bought.name, bought.description, bought.is_async) == ("buy", "Buy something.", False)
    assert (asked.name, asked.description, asked.is_async) == ("ask", "Ask for something.", True)
    assert list(asked.parameters["properties"]) == ["item"]


def test_what_a_partial_binds_and_text_defaults_stay_here():
    def fetch(url: str, key: str = "sk-secret-default", *, token: str, retries: int = 3) -> str:
        """Fetch."""
        return url + key + token

    made = tool(functools.partial(fetch, token="sk-secret-bound"))
    text = str(spec_of(made))
    assert "secret" not in text
    assert list(made.parameters["properties"]) == ["url", "key", "retries"]
    assert made.parameters["required"] == ["url"]
    assert made.parameters["properties"]["retries"]["default"] == 3


def unannotated(x): ...


def many(*items: int): ...


def named(**items: int): ...


def positional(x: int, /): ...


def unresolved(x: Missing): ...  # noqa: F821


def generator(x: int):
    yield x


class Thing:
    def method(self, x: int): ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (unannotated, "parameter 'x' of unannotated: it has no annotation"),
        (many, "parameter 'items' of many: .* list"),
        (named, "parameter 'items' of named: .* dict"),
        (positional, "parameter 'x' of positional: .* take the / out"),
        (unresolved, "unresolved: an annotation cannot be resolved .*Missing.* import its type"),
        (generator, "generator is a generator: .*return a list"),
        (Thing.method, r"parameter 'self' of method: hand over the bound method, tools=\[thing.method\]"),
        (lambda x: x, "no name for a tool: .*name="),
        (3, "not a int"),
        (print, "already: give the tool another name"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_what_cannot_be_a_tool_says_which_parameter_and_what_to_do(function, said):
    with pytest.raises(ToolDefinitionError, match=said):
        as_tools([function])


@pytest.mark.parametrize(
    "name",
    ["match", "class", "tools", "final_answer", "display", "len", "_x", "a b", "ä", "x" * 65]
    + [error.__name__ for error in CLASSES],
)
def test_a_name_that_is_taken_or_none_is_refused(name):
    with pytest.raises(ToolDefinitionError, match="name="):
        tool(search, name=name)


def test_options_are_checked():
    with pytest.raises(ToolDefinitionError, match="callers"):
        tool(search, callers="all")
    for seconds in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ToolDefinitionError, match="timeout"):
            tool(search, timeout=seconds)
    with pytest.raises(ToolDefinitionError, match="Two tools are called 'search'"):
        as_tools([search, search])
    with pytest.raises(ToolDefinitionError, match="shorten"):
        tool(search, description="x" * 9000)
