"""What a docstring says of a function: its purpose, its parameters, its result. Google, NumPy and Sphinx styles."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_GOOGLE = re.compile(
    r"^(Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?|Notes?|Attributes|Todo|Warnings?|See Also):\s*$"
)
_NUMPY = re.compile(r"^(Parameters|Other Parameters|Returns|Yields|Raises|Examples|Notes|See Also)\s*$")
_SPHINX = re.compile(
    r"^:(param|parameter|arg|argument|key|keyword|returns?|raises?|type|rtype|yields?)\b([^:]*):(.*)$"
)
_ARGUMENT = re.compile(r"^\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:\s?(.*)$")
_NUMPY_ARGUMENT = re.compile(r"^\*{0,2}(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?$")
_PARAMETERS = frozenset({"Args", "Arguments", "Parameters", "Params", "Other Parameters"})
_RETURNS = frozenset({"Return", "Returns", "Yield", "Yields"})
_TYPE_BEFORE = re.compile(r"^[\w.\[\], |]{1,80}:\s+(?=\S)")


@dataclass(slots=True)
class Docs:
    """The parts of a docstring."""

    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    returns: str = ""


def parse_docstring(text: str | None) -> Docs:
    """Return the parts of a docstring; what is of no known form is part of the description. Never raises."""
    lines = inspect.cleandoc(text or "").splitlines()
    docs = Docs()
    description: list[str] = []
    at = 0
    while at < len(lines):
        section = _section_at(lines, at)
        if section:
            name, body, at = section
            _take(docs, name, body)
        elif match := _SPHINX.match(lines[at]):
            rest, at = _continuation(lines, at + 1)
            _take_sphinx(docs, match, rest)
        else:
            description.append(lines[at])
            at += 1
    docs.description = "\n".join(description).strip()
    return docs


def _section_at(lines: list[str], at: int) -> tuple[str, list[str], int] | None:
    """Return the section that begins at a line: its name, its lines, and where the next thing begins."""
    if match := _GOOGLE.match(lines[at]):
        end = at + 1
        while end < len(lines) and (not lines[end].strip() or lines[end][0].isspace()):
            end += 1
        return match.group(1), inspect.cleandoc("\n".join(["", *lines[at + 1 : end]])).splitlines(), end
    underlined = at + 1 < len(lines) and re.fullmatch(r"-{3,}\s*", lines[at + 1])
    if underlined and (match := _NUMPY.match(lines[at])):
        end = at + 2
        while end < len(lines) and not (end + 1 < len(lines) and re.fullmatch(r"-{3,}\s*", lines[end + 1])):
            end += 1
        return f"{match.group(1)}\n", lines[at + 2 : end], end
    return None


def _take(docs: Docs, name: str, body: list[str]) -> None:
    numpy = name.endswith("\n")
    name = name.strip()
    if name in _PARAMETERS:
        docs.parameters.update(_entries(body, _NUMPY_ARGUMENT if numpy else _ARGUMENT))
    elif name in _RETURNS:
        # NumPy's first line is the type, Google's may begin with one.
        told = [line for line in body if line[:1].isspace()] if numpy else body
        docs.returns = _TYPE_BEFORE.sub("", _joined(told))


def _entries(body: list[str], head: re.Pattern[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in body:
        match = None if line[:1].isspace() else head.match(line)
        if match:
            names = [name.strip() for name in match.group(1).split(",")]
            rest = match.group(2) if head.groups > 1 else ""
            found.update({name: [rest] for name in names})
        else:
            for name in names:
                found[name].append(line)
    return {name: _joined(lines) for name, lines in found.items()}


def _continuation(lines: list[str], at: int) -> tuple[list[str], int]:
    start = at
    while at < len(lines) and lines[at][:1].isspace():
        at += 1
    return lines[start:at], at


def _take_sphinx(docs: Docs, match: re.Match[str], rest: list[str]) -> None:
    kind, name, told = match.group(1), match.group(2).split(), _joined([match.group(3), *rest])
    if kind in {"param", "parameter", "arg", "argument", "key", "keyword"} and name:
        docs.parameters[name[-1].lstrip("*")] = told
    elif kind in {"return", "returns"}:
        docs.returns = told


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())
