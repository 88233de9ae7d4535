"""The JSON Schema subset that a tool may use: read strictly, references written out, validated by `jsonschema`.

The schemas are a tenant's. So none may cost more than its size: no regular expressions, no references to elsewhere or
back to themselves, no keyword whose work grows faster than the value. The steps of a validation are counted and bounded,
and between them other threads have their turn.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import jsonschema
from jsonschema import Draft202012Validator
from jsonschema.validators import create

from sandboxd.tools.values import TAG, Array, Object, Tagged, Text, Value

MAX_SCHEMA_BYTES = 16 << 10
MAX_SCHEMA_NODES = 2000
MAX_WRITTEN_CHARACTERS = (
    64 << 10
)  # with its references written out: a definition of 10 kB may be named a thousand times
MAX_SCHEMA_DEPTH = 16
MAX_STEPS = 100_000  # of one validation, under half a second
KINDS = frozenset({"bytes", "image", "dataframe"})
TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_REF = "#/$defs/"
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset({"items", "additionalProperties"})
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength"})
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_CONSTANTS = frozenset({"enum", "const"})
_MEANINGLESS = frozenset(
    {"title", "description", "default", "examples", "format", "deprecated", "$schema", "$comment"}
)
_CHECKED = (
    frozenset({"type", "enum", "const", "properties", "required"}) | _LISTS | _SINGLE | _COUNTS | _BOUNDS
)
_MESSAGE = 300


_PAUSE_STEPS = 200  # under a millisecond: then the loop's thread may have the interpreter


class SchemaError(ValueError):
    """A schema is not of the subset; the message names the key."""


class _TooMuchError(Exception):
    """A validation has used up its steps."""


class _Steps(threading.local):
    left = 0

    def spend(self, count: int) -> None:
        before, self.left = self.left, self.left - count
        if self.left < 0:
            raise _TooMuchError
        if before // _PAUSE_STEPS != self.left // _PAUSE_STEPS:
            time.sleep(0)


_steps = _Steps()
_Check: TypeAlias = Callable[[Any, Any, Any, Any], Iterable[jsonschema.ValidationError] | None]


def _counted(check: _Check, *, constants: bool) -> _Check:
    """Count a keyword's work on one value: what it compares with, all levels of it, and what it goes through."""

    def counted(
        validator: Any, value: Any, instance: Any, schema: Any
    ) -> Iterable[jsonschema.ValidationError] | None:
        compared = len(value) if isinstance(value, list | dict) else 0
        gone_through = len(instance) if isinstance(instance, list | dict) else 0
        _steps.spend(1 + (compared + gone_through) // 8 + (_below(value) if constants else 0))
        return check(validator, value, instance, schema)

    return counted


def _of_kind(_validator: Any, kind: str, instance: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    if not isinstance(instance, Tagged) or instance.kind != kind:
        yield jsonschema.ValidationError(f"{instance!r} is no {kind}")


def _any_of(
    validator: Any, schemas: Any, instance: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    if not any(validator.evolve(schema=one).is_valid(instance) for one in schemas):
        yield jsonschema.ValidationError(f"{instance!r} is not valid under any of the given schemas")


def _one_of(
    validator: Any, schemas: Any, instance: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    fitting = sum(validator.evolve(schema=one).is_valid(instance) for one in schemas)
    if fitting != 1:
        yield jsonschema.ValidationError(
            f"{instance!r} is valid under {fitting} of the given schemas, not one"
        )


# The library's own two keep every error of every branch: 40,000 of them took half a gigabyte.
_CHECKS = {key: Draft202012Validator.VALIDATORS[key] for key in _CHECKED}
_CHECKS |= {"anyOf": _any_of, "oneOf": _one_of, TAG: _of_kind}
_Validator = create(
    meta_schema={},
    validators={key: _counted(check, constants=key in _CONSTANTS) for key, check in _CHECKS.items()},
    type_checker=Draft202012Validator.TYPE_CHECKER,  # a Tagged is of no type that it knows
    version="sandboxd-tools",
)


class Schema:
    """One schema, ready to be asked.

    Attributes:
        raw: the schema with its references written out.
        nodes: how large it is.
        characters: how long it is, about, as text.
    """

    def __init__(self, raw: Any, nodes: int, characters: int) -> None:
        self.raw = raw
        self.nodes = nodes
        self.characters = characters
        self._validator = _Validator(raw)

    def cost(self, value: Value) -> int:
        """Tell roughly what `problem_of` costs at most, in steps."""
        return self.nodes * value.nodes

    def problem_of(self, value: Value) -> str:
        """Tell what is wrong with a value, "" where nothing is. Never raises."""
        _steps.left = MAX_STEPS
        try:
            error = next(self._validator.iter_errors(value.seen), None)
        except _TooMuchError:
            return "it is too large to be held against its schema"
        except (ArithmeticError, ValueError, RecursionError):
            return "it cannot be held against its schema: a number in it is out of reach"
        if error is None:
            return ""
        where = "".join(f"[{step!r}]" for step in error.absolute_path)
        return f"{where}: {error.message}"[:_MESSAGE] if where else str(error.message)[:_MESSAGE]


def read(text: str) -> Schema:
    """Read a schema.

    Raises:
        SchemaError: it is not of the subset.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"takes more than {MAX_SCHEMA_BYTES:,} bytes")
    try:
        raw = json.loads(text, parse_constant=_no_number)
        json.dumps(raw, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise SchemaError("is no JSON") from None
    defs = raw.pop("$defs", {}) if isinstance(raw, dict) else {}
    if not isinstance(defs, dict):
        raise SchemaError("$defs is no object")
    reader = _Reader(defs)
    try:
        return Schema(reader.schema(raw, "", 0, ()), reader.nodes, max(reader.characters, len(text)))
    except RecursionError:
        raise SchemaError("holds a constant that is too deep") from None


class _Reader:
    """Checks a schema and writes its references out, counting what that makes."""

    def __init__(self, defs: Mapping[str, Any]) -> None:
        self._defs = defs
        self.nodes = self.characters = 0

    def schema(self, raw: Any, path: str, depth: int, through: tuple[str, ...]) -> Any:
        self._count(1)
        if isinstance(raw, bool):
            return raw
        if not isinstance(raw, dict):
            raise SchemaError(f"{path or 'the whole'} is no schema")
        if depth > MAX_SCHEMA_DEPTH:
            raise SchemaError(f"is more than {MAX_SCHEMA_DEPTH} levels deep")
        if "$ref" in raw:
            return self._referred(raw, path, depth, through)
        read = {}
        for key, value in raw.items():
            if key not in _MEANINGLESS:
                read[key] = self._keyword(key, value, f"{path}/{key}", depth, through)
            elif key == "default":
                self._weigh(value)
                read[key] = value  # the guest shows it
        return read

    def _referred(self, raw: dict[str, Any], path: str, depth: int, through: tuple[str, ...]) -> Any:
        if not raw.keys() <= {"$ref", *_MEANINGLESS}:
            raise SchemaError(f"{path}/$ref stands beside other keys")
        target = raw["$ref"]
        name = target.removeprefix(_REF) if isinstance(target, str) and target.startswith(_REF) else ""
        if name not in self._defs:
            raise SchemaError(f"{path}/$ref is not #/$defs/NAME of a definition that is there")
        if name in through:
            raise SchemaError(f"{path}/$ref leads back to itself")
        return self.schema(self._defs[name], path, depth + 1, (*through, name))

    def _keyword(self, key: str, value: Any, path: str, depth: int, through: tuple[str, ...]) -> Any:
        if key in _SINGLE:
            return self.schema(value, path, depth + 1, through)
        if key in _LISTS:
            _demand(isinstance(value, list) and bool(value), path, "is no list of schemas")
            return [self.schema(one, path, depth + 1, through) for one in value]
        if key == "properties":
            _demand(isinstance(value, dict), path, "is no object")
            self._count(0, sum(map(len, value)))
            return {
                name: self.schema(one, f"{path}/{name[:64]}", depth + 1, through)
                for name, one in value.items()
            }
        check = _PLAIN.get(key)
        if check is None:
            raise SchemaError(f"{path[:200]} is not of the subset that a tool may use")
        _demand(check(value), path, "is not right")
        self._weigh(value)
        return _as_seen(value) if key in _CONSTANTS or key == "required" else value

    def _weigh(self, constant: Any) -> None:
        """Count what stands for itself, each time that a reference puts it somewhere."""
        self._count(_size(constant), len(json.dumps(constant)))

    def _count(self, nodes: int, characters: int = 0) -> None:
        self.nodes += nodes
        self.characters += characters
        if self.nodes > MAX_SCHEMA_NODES:
            raise SchemaError(f"has more than {MAX_SCHEMA_NODES:,} nodes with its references written out")
        if self.characters > MAX_WRITTEN_CHARACTERS:
            raise SchemaError(
                f"takes more than {MAX_WRITTEN_CHARACTERS:,} characters with its references written out"
            )


def _demand(fine: bool, path: str, problem: str) -> None:
    if not fine:
        raise SchemaError(f"{path[:200]} {problem}")


def _size(value: Any) -> int:
    if isinstance(value, list):
        return 1 + sum(map(_size, value))
    return 1 + sum(map(_size, value.values())) if isinstance(value, dict) else 1


def _below(constant: Any) -> int:
    """Tell how many nodes a constant has below its first level; a comparison goes through all."""
    items = (
        constant.values() if isinstance(constant, dict) else constant if isinstance(constant, list) else ()
    )
    return sum(_size(item) - 1 for item in items)


def _as_seen(value: Any) -> Any:
    """Give a constant the short repr of what it is compared with."""
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, list):
        return Array(map(_as_seen, value))
    return Object((key, _as_seen(item)) for key, item in value.items()) if isinstance(value, dict) else value


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)


def _is_number(value: Any) -> bool:
    return type(value) in {int, float} and math.isfinite(value) and abs(value) < 1e300  # noqa: PLR2004


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _no_number(_name: str) -> None:
    raise ValueError("NaN and infinities are no JSON")


_PLAIN: Mapping[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "enum": lambda value: isinstance(value, list) and bool(value),
    "const": lambda _: True,
    "required": _are_names,
    TAG: lambda value: isinstance(value, str) and value in KINDS,
    **dict.fromkeys(_COUNTS, _is_count),
    **dict.fromkeys(_BOUNDS, _is_number),
    "multipleOf": lambda value: _is_number(value) and value > 0,
}
