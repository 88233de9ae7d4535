"""From an annotation to a JSON Schema and back: what the daemon checks, and what a function is really given.

The schema is of the subset that protos/TOOLS.md names. Everything is written out: no references, so a type that holds itself
is refused. `load` makes of plain data what the annotation promises: a dataclass, an Enum's member, a tuple, a date.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import pathlib
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Literal, NotRequired, Required, Union

from sandboxd_client.tools.errors import ToolDefinitionError
from sandboxd_client.tools.frames import ToolTable, is_frame
from sandboxd_client.tools.values import TAG, ToolImage

Schema = dict[str, Any]
_MAX_LEVELS = 12
_LISTS = (
    list,
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Collection,
    collections.abc.MutableSequence,
)
_SETS = (set, frozenset, collections.abc.Set, collections.abc.MutableSet)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_TEXTUAL: dict[Any, tuple[str, Callable[[str], Any]]] = {
    dt.datetime: ("date-time", dt.datetime.fromisoformat),
    dt.date: ("date", dt.date.fromisoformat),
    dt.time: ("time", dt.time.fromisoformat),
    uuid.UUID: ("uuid", uuid.UUID),
    decimal.Decimal: ("", decimal.Decimal),
    pathlib.Path: ("", pathlib.Path),
    pathlib.PurePath: ("", pathlib.PurePath),
}


def _same(value: Any) -> Any:
    return value


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """A type: its schema, a quick test whether plain data is of it, and the way from plain data to its value."""

    schema: Schema
    fits: Callable[[Any], bool]
    load: Callable[[Any], Any] = _same


ANYTHING = Shape({}, lambda _: True)


def shape_of(annotation: Any, where: str, *, result: bool = False) -> Shape:
    """Return the shape of an annotation.

    Args:
        annotation: a type, with its forward references resolved.
        where: what it annotates, for messages: "parameter 'x' of f".
        result: it is a return annotation: an image library's own class may stand there, for it is only sent.

    Raises:
        ToolDefinitionError: a value of this type cannot pass; the message says what to write instead.
    """
    return _Shaper(where, result=result).shape(annotation, ())


class _Shaper:
    """Shapes the annotation of one parameter or result."""

    def __init__(self, where: str, *, result: bool) -> None:
        self._where = where
        self._result = result

    def shape(self, annotation: Any, above: tuple[Any, ...]) -> Shape:
        """Return the shape of a type below the types of `above`."""
        if annotation in above or len(above) > _MAX_LEVELS:
            raise self._refusal(
                annotation,
                "holds itself or is too deep; write dict or list there and say in words what it holds",
            )
        origin = typing.get_origin(annotation)
        if origin in {typing.Annotated, Required, NotRequired}:
            return self._annotated(annotation, above)
        if origin is Literal:
            return _choice(list(typing.get_args(annotation)), _same)
        if origin in {Union, types.UnionType}:
            return self._union(typing.get_args(annotation), above)
        shape = _plain(annotation) or self._named(annotation, above)
        return shape or self._generic(origin or annotation, typing.get_args(annotation), above)

    def _annotated(self, annotation: Any, above: tuple[Any, ...]) -> Shape:
        inner, *notes = typing.get_args(annotation)
        shape = self.shape(inner, above)
        told = next((note for note in notes if isinstance(note, str)), "")
        return dataclasses.replace(shape, schema={**shape.schema, "description": told}) if told else shape

    def _union(self, members: tuple[Any, ...], above: tuple[Any, ...]) -> Shape:
        shapes = [self.shape(member, above) for member in members]

        def load(value: Any) -> Any:
            chosen = next((shape for shape in shapes if shape.fits(value)), None)
            return chosen.load(value) if chosen else value

        return Shape(
            {"anyOf": [shape.schema for shape in shapes]},
            lambda value: any(s.fits(value) for s in shapes),
            load,
        )

    def _named(self, annotation: Any, above: tuple[Any, ...]) -> Shape | None:  # noqa: PLR0911 - one way out a kind
        """Shape classes and the other things that have names of their own."""
        if isinstance(annotation, typing.NewType):
            return self.shape(annotation.__supertype__, above)
        if type(annotation).__name__ == "TypeAliasType":
            return self.shape(annotation.__value__, above)
        if not isinstance(annotation, type):
            return None
        if typing.is_typeddict(annotation):
            return self._typed_dict(annotation, above)
        if issubclass(annotation, enum.Enum):
            return _choice([member.value for member in annotation], annotation, annotation.__name__)
        if dataclasses.is_dataclass(annotation) and annotation not in {ToolImage, ToolTable}:
            return self._dataclass(annotation, above)
        return self._library(annotation)

    def _library(self, annotation: type) -> Shape | None:
        top, name = annotation.__module__.partition(".")[0], annotation.__name__
        if annotation is ToolTable or (top == "pandas" and name == "DataFrame"):
            wanted = (ToolTable,) if annotation is ToolTable else ()
            return Shape(
                {TAG: "dataframe"},
                lambda value: isinstance(value, ToolTable) or is_frame(value),
                _table(wanted),
            )
        if top == "PIL" and name == "Image":
            if self._result:
                return _image()
            raise self._refusal(
                annotation,
                "is not decoded here; take a ToolImage, and open its .data with PIL where you trust it",
            )
        return None

    def _typed_dict(self, annotation: Any, above: tuple[Any, ...]) -> Shape:
        hints = typing.get_type_hints(annotation, include_extras=True)
        shapes = {key: self.shape(hint, (*above, annotation)) for key, hint in hints.items()}
        # Where annotations are text, as after the __future__ import, __required_keys__ does not see what stands in them.
        marks = {key: typing.get_origin(hint) for key, hint in hints.items()}
        listed = annotation.__required_keys__
        required = [
            key
            for key, mark in marks.items()
            if mark is Required or (key in listed and mark is not NotRequired)
        ]
        return _object(annotation, shapes, required, dict)

    def _dataclass(self, annotation: Any, above: tuple[Any, ...]) -> Shape:
        hints = typing.get_type_hints(annotation, include_extras=True)
        # What is sent has all its fields; what is taken is built from those that the constructor takes.
        fields = [field for field in dataclasses.fields(annotation) if field.init or self._result]
        shapes = {field.name: self.shape(hints[field.name], (*above, annotation)) for field in fields}
        missing = dataclasses.MISSING
        required = [
            field.name
            for field in fields
            if self._result or (field.default is missing and field.default_factory is missing)
        ]
        return _object(annotation, shapes, required, lambda values: annotation(**values))

    def _generic(self, origin: Any, arguments: tuple[Any, ...], above: tuple[Any, ...]) -> Shape:
        if origin in _LISTS:
            return self._list(arguments, list, above)
        if origin in _SETS:
            return self._list(arguments, frozenset if origin is frozenset else set, above)
        if origin is tuple:
            return self._tuple(arguments, above)
        if origin in _DICTS:
            return self._dict(arguments, above)
        raise self._refusal(
            origin,
            "cannot pass; use text, numbers, bool, bytes, list, dict, Literal, Enum, TypedDict, a dataclass,"
            " ToolImage or a DataFrame",
        )

    def _list(self, arguments: tuple[Any, ...], made: Callable[[Any], Any], above: tuple[Any, ...]) -> Shape:
        items = self.shape(arguments[0], (*above, object())) if arguments else ANYTHING
        schema: Schema = {"type": "array", "items": items.schema} if items.schema else {"type": "array"}
        return Shape(
            schema,
            lambda value: isinstance(value, list) and all(items.fits(item) for item in value),
            lambda value: made(items.load(item) for item in value),
        )

    def _tuple(self, arguments: tuple[Any, ...], above: tuple[Any, ...]) -> Shape:
        if not arguments or arguments[-1] is Ellipsis:
            return self._list(arguments[:1], tuple, above)
        shapes = [self.shape(argument, (*above, object())) for argument in arguments]
        size = len(shapes)
        return Shape(
            {
                "type": "array",
                "prefixItems": [one.schema for one in shapes],
                "minItems": size,
                "maxItems": size,
            },
            lambda value: (
                isinstance(value, list)
                and len(value) == size
                and all(one.fits(item) for one, item in zip(shapes, value, strict=True))
            ),
            lambda value: tuple(one.load(item) for one, item in zip(shapes, value, strict=True)),
        )

    def _dict(self, arguments: tuple[Any, ...], above: tuple[Any, ...]) -> Shape:
        if arguments and arguments[0] not in {str, Any}:
            raise self._refusal(
                arguments[0], "cannot be a key; keys are text: write dict[str, ...] or a list of pairs"
            )
        values = self.shape(arguments[1], (*above, object())) if len(arguments) > 1 else ANYTHING
        schema: Schema = {"type": "object"}
        if values.schema:
            schema["additionalProperties"] = values.schema
        return Shape(
            schema,
            lambda value: isinstance(value, dict) and all(values.fits(item) for item in value.values()),
            lambda value: {key: values.load(item) for key, item in value.items()},
        )

    def _refusal(self, annotation: Any, what: str) -> ToolDefinitionError:
        name = getattr(annotation, "__qualname__", None) or str(annotation)
        return ToolDefinitionError(f"{self._where}: the type {name} {what}.")


def _plain(annotation: Any) -> Shape | None:  # noqa: PLR0911 - one way out a kind
    """Shape what JSON has itself, and what is written as text in it."""
    if annotation in {Any, object}:
        return ANYTHING
    if annotation in {None, types.NoneType}:
        return Shape({"type": "null"}, lambda value: value is None)
    if annotation is bool:
        return Shape({"type": "boolean"}, lambda value: isinstance(value, bool))
    if annotation is int:
        return Shape({"type": "integer"}, _is_integer, int)
    if annotation is float:
        return Shape({"type": "number"}, _is_number, float)
    if annotation is str:
        return Shape({"type": "string"}, lambda value: isinstance(value, str))
    if annotation in {bytes, bytearray, memoryview}:
        return Shape({TAG: "bytes"}, lambda value: isinstance(value, bytes), annotation)
    if annotation is ToolImage:
        return _image()
    textual = _TEXTUAL.get(annotation) if isinstance(annotation, type) else None
    if textual is None:
        return None
    kind, load = textual
    return Shape(
        {"type": "string", **({"format": kind} if kind else {})}, lambda value: isinstance(value, str), load
    )


def _is_integer(value: Any) -> bool:
    whole = isinstance(value, float) and value.is_integer()  # to JSON Schema 3.0 is an integer
    return (isinstance(value, int) and not isinstance(value, bool)) or whole


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _image() -> Shape:
    return Shape({TAG: "image"}, lambda value: isinstance(value, ToolImage))


def _table(wanted: tuple[type, ...]) -> Callable[[Any], Any]:
    def load(value: Any) -> Any:
        if wanted and is_frame(value):
            from sandboxd_client.tools.frames import encode_frame  # noqa: PLC0415 - rare

            return ToolTable(**encode_frame(value, "the table"))
        return value

    return load


def _choice(values: list[Any], load: Callable[[Any], Any], title: str = "") -> Shape:
    """Shape a Literal or an Enum: its schema lists the values."""
    plain = [value.value if isinstance(value, enum.Enum) else value for value in values]
    wrong = next((value for value in plain if not isinstance(value, str | int | float | bool | None)), None)
    if wrong is not None:
        raise ToolDefinitionError(
            f"{title or 'a Literal'}: the value {wrong!r:.80} cannot pass; use text or numbers as values."
        )
    schema: Schema = {"enum": plain}
    if title:
        schema["title"] = title
    members = dict(zip(((type(one), one) for one in plain), values, strict=True))
    back = load if load is not _same else lambda value: members.get((type(value), value), value)
    return Shape(schema, lambda value: (type(value), value) in members if _hashable(value) else False, back)


def _hashable(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _object(
    annotation: Any, shapes: Mapping[str, Shape], required: list[str], make: Callable[[Any], Any]
) -> Shape:
    schema: Schema = {
        "type": "object",
        "title": annotation.__name__,
        "properties": {key: shape.schema for key, shape in shapes.items()},
        "required": required,
        "additionalProperties": False,
    }
    told = inspect.cleandoc(annotation.__doc__ or "")
    if told and not told.startswith((f"{annotation.__name__}(", "dict(")):  # what Python writes by itself
        schema["description"] = told.partition("\n\n")[0]

    def fits(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and set(required) <= set(value) <= set(shapes)
            and all(shapes[key].fits(item) for key, item in value.items())
        )

    def load(value: Any) -> Any:
        return make({key: shapes[key].load(item) for key, item in value.items()})

    return Shape(schema, fits, load)
