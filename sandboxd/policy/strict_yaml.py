"""Read one YAML document without its traps, and remember the line of every key.

YAML 1.1 turns `no` into false, `12:30` into 750 and `1_0` into 10; later duplicates win silently; anchors, aliases and
merge keys let a value stand far from where a reviewer reads it; tags construct objects. A policy is read by people who
must be able to trust what they see, so all of these are errors here. The document is built from parser events: no
constructor ever runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

MAX_BYTES = 256 * 1024
MAX_DEPTH = 12

Path: TypeAlias = tuple[str | int, ...]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_PREFIX = "tag:yaml.org,2002:"
_RESOLVER: Any = Resolver()


class YamlProblemError(Exception):
    """What a document must not contain, and where."""

    def __init__(self, line: int, path: Path, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.path = path
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data, and the 1-based line of every key and item in it."""

    data: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """Return the line of a path, or of its nearest ancestor that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def load(content: bytes) -> Document:
    """Build one document from UTF-8 bytes.

    Raises:
        YamlProblemError: it is no YAML, or uses a feature that hides what it means.
    """
    if len(content) > MAX_BYTES:
        raise YamlProblemError(1, (), f"the file is larger than {MAX_BYTES} bytes", "Split it with extends.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise YamlProblemError(line, (), "the file is not UTF-8", "Save it as UTF-8.") from None
    try:
        return _Builder(yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "unreadable"
        raise YamlProblemError(mark.line + 1 if mark else 1, (), f"not YAML: {problem}") from None


class _Builder:
    """Turns parser events into data; recursion is bounded by MAX_DEPTH."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._lines: dict[Path, int] = {}

    def document(self) -> Document:
        self._expect(StreamStartEvent)
        start = next(self._events)
        if isinstance(start, StreamEndEvent):
            raise YamlProblemError(1, (), "the file is empty")
        if isinstance(start, DocumentStartEvent) and (start.version or start.tags):
            raise YamlProblemError(
                _line(start), (), "directives (%YAML, %TAG) are not allowed", "Remove the line."
            )
        data = self._node(next(self._events), ())
        next(self._events)
        end = next(self._events)
        if not isinstance(end, StreamEndEvent):
            raise YamlProblemError(_line(end), (), "a second document", "Keep one document in a file.")
        return Document(data, self._lines)

    def _expect(self, kind: type[Event]) -> None:
        if not isinstance(next(self._events), kind):
            raise YamlProblemError(1, (), "not YAML: unexpected start")

    def _node(self, event: Event, path: Path) -> Any:
        self._refuse_indirection(event, path)
        if len(path) > MAX_DEPTH:
            raise YamlProblemError(_line(event), path[:MAX_DEPTH], f"nested deeper than {MAX_DEPTH}")
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        assert isinstance(event, ScalarEvent)
        return _scalar(event, path)

    def _refuse_indirection(self, event: Event, path: Path) -> None:
        if isinstance(event, AliasEvent):
            raise YamlProblemError(
                _line(event), path, "aliases (*name) are not allowed", "Write the value out."
            )
        assert isinstance(event, NodeEvent)
        if event.anchor:
            raise YamlProblemError(
                _line(event), path, "anchors (&name) are not allowed", "Write the value out."
            )
        if getattr(event, "tag", None):
            raise YamlProblemError(
                _line(event), path, "tags (!name) are not allowed", "Write the plain value."
            )

    def _mapping(self, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event, path)
            here = (*path, key)
            if key in data:
                first = self._lines[here]
                raise YamlProblemError(
                    _line(event), here, f"duplicate key (first in line {first})", "Keep one of them."
                )
            self._lines[here] = _line(event)
            data[key] = self._node(next(self._events), here)
        return data

    def _key(self, event: Event, path: Path) -> str:
        self._refuse_indirection(event, path)
        if not isinstance(event, ScalarEvent):
            raise YamlProblemError(_line(event), path, "a key must be a plain word")
        if event.value == "<<" and event.style is None:
            raise YamlProblemError(_line(event), path, "merge keys (<<) are not allowed", "Use extends.")
        key = _scalar(event, path)
        if not isinstance(key, str):
            raise YamlProblemError(_line(event), path, f"a key must be a word, not {event.value[:40]!r}")
        return key

    def _sequence(self, path: Path) -> list[Any]:
        data: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            here = (*path, len(data))
            self._lines[here] = _line(event)
            data.append(self._node(event, here))
        return data


def _line(event: Event) -> int:
    mark = event.start_mark
    return int(mark.line) + 1 if mark else 1


def _scalar(event: ScalarEvent, path: Path) -> str | int | bool:
    """Read a scalar; a plain one only if YAML 1.1 and YAML 1.2 agree on what it is."""
    text = str(event.value)
    if event.style is not None:
        return text
    kind = str(_RESOLVER.resolve(ScalarNode, text, (True, False))).removeprefix(_PREFIX)
    if kind == "str":
        return text
    if kind == "bool" and text in {"true", "false"}:
        return text == "true"
    if kind == "int" and _INTEGER.match(text):
        return int(text)
    raise YamlProblemError(
        _line(event), path, _ambiguous(kind, text), _REMEDIES.get(kind, "Put it in quotes.")
    )


def _ambiguous(kind: str, text: str) -> str:
    if kind == "null":
        return "no value"
    return f"{text[:40]!r} is ambiguous: YAML reads it as {kind}"


_REMEDIES = {
    "null": "Write a value, or remove the key.",
    "bool": "Write true or false; put a word in quotes.",
    "int": "Write a plain decimal number; put anything else in quotes.",
    "float": "Write a whole number, or a value with its unit, such as 500ms.",
}
