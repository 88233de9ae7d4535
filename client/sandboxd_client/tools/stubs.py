"""Tools as a model reads them best: Python signatures with docstrings, and a TypedDict for each object that has keys.

They are made from the schemas, not from the functions, so what the model is told is what the daemon checks.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sandboxd_client.tools.values import TAG

if TYPE_CHECKING:
    from sandboxd_client.tools.definition import Tool

_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "array": "list",
    "object": "dict",
}
_TAGGED = {"bytes": "bytes", "image": "Image", "dataframe": "pandas.DataFrame"}
_WIDTH = 110
_MAX_ONE_LINE = 300


def stubs(tools: Iterable[Tool]) -> str:
    """Return the declarations of tools: first the TypedDicts that they use, then a `def` or `async def` each."""
    names = _Names()
    functions = [_function(tool, names) for tool in tools]
    return "\n\n".join([*names.classes, *functions])


class _Names:
    """The TypedDicts that were needed, one a shape."""

    def __init__(self) -> None:
        self.classes: list[str] = []
        self._taken: dict[str, str] = {}  # name -> body

    def type_of(self, schema: Any, wanted: str) -> str:  # noqa: PLR0911 - one way out a kind
        """Return the Python type of a schema; `wanted` names an object that has no title."""
        if not isinstance(schema, dict):
            return "object"
        if TAG in schema:
            return _TAGGED.get(str(schema[TAG]), "object")
        if "enum" in schema or "const" in schema:
            values = schema.get("enum", [schema.get("const")])
            return f"Literal[{', '.join(repr(value) for value in values)}]"
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return " | ".join(dict.fromkeys(self.type_of(one, wanted) for one in schema[key]))
        kind = schema.get("type")
        if isinstance(kind, list):
            return " | ".join(self.type_of({**schema, "type": one}, wanted) for one in kind)
        if kind == "array":
            return self._list(schema, wanted)
        if kind == "object":
            return self._object(schema, wanted)
        return _TYPES.get(str(kind), "object")

    def _list(self, schema: dict[str, Any], wanted: str) -> str:
        if "prefixItems" in schema:
            return f"tuple[{', '.join(self.type_of(one, wanted) for one in schema['prefixItems'])}]"
        return f"list[{self.type_of(schema['items'], wanted)}]" if "items" in schema else "list"

    def _object(self, schema: dict[str, Any], wanted: str) -> str:
        if not schema.get("properties"):
            values = schema.get("additionalProperties")
            return f"dict[str, {self.type_of(values, wanted)}]" if isinstance(values, dict) else "dict"
        title = schema.get("title")
        name = title if isinstance(title, str) and title.isidentifier() else wanted
        required = set(schema.get("required", ()))
        lines = []
        for key, one in schema["properties"].items():
            if not key.isidentifier() or keyword.iskeyword(key):
                return "dict"  # it cannot be written as a class
            kind = self.type_of(one, f"{name}{key.title().replace('_', '')}")
            told = _one_line(one.get("description", "")) if isinstance(one, dict) else ""
            optional = kind if key in required else f"NotRequired[{kind}]"
            lines.append(f"    {key}: {optional}" + (f"  # {told}" if told else ""))
        return self._class(name, "\n".join(lines))

    def _class(self, name: str, body: str) -> str:
        number, unique = 1, name
        while self._taken.get(unique, body) != body:
            number += 1
            unique = f"{name}{number}"
        if unique not in self._taken:
            self._taken[unique] = body
            self.classes.append(f"class {unique}(TypedDict):\n{body}")
        return unique


def _function(tool: Tool, names: _Names) -> str:
    camel = "".join(part.title() for part in tool.name.split("_"))
    required = set(tool.parameters.get("required", ()))
    parameters = []
    for name, schema in tool.parameters.get("properties", {}).items():
        kind = names.type_of(schema, f"{camel}{name.title().replace('_', '')}")
        one = schema if isinstance(schema, dict) else {}
        default = "" if name in required else f" = {one['default']!r}" if "default" in one else " = ..."
        parameters.append(f"{name}: {kind}{default}")
    result = "object" if tool.returns is None else names.type_of(tool.returns, f"{camel}Result")
    head = f"{'async ' if tool.is_async else ''}def {tool.name}("
    line = f"{head}{', '.join(parameters)}) -> {result}:"
    if len(line) > _WIDTH:
        line = head + "".join(f"\n    {one}," for one in parameters) + f"\n) -> {result}:"
    told = _docstring(tool)
    return f"{line}\n{textwrap.indent(told, '    ')}" if told else f"{line} ..."


def _docstring(tool: Tool) -> str:
    text = tool.description.strip()
    described = {
        name: _one_line(schema["description"])
        for name, schema in tool.parameters.get("properties", {}).items()
        if isinstance(schema, dict) and schema.get("description")
    }
    if described:
        text += "\n\nArgs:\n" + "\n".join(f"    {name}: {told}" for name, told in described.items())
    if tool.returns and (told := _one_line(tool.returns.get("description", ""))):
        text += f"\n\nReturns:\n    {told}"
    text = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    text = text.strip().replace("\\", "\\\\").replace('"""', "'''")
    text += " " if text.endswith('"') else ""
    return f'"""{text}\n"""' if "\n" in text else f'"""{text}"""' if text else ""


def _one_line(text: Any) -> str:
    return re.sub(r"\s+", " ", text).strip()[:_MAX_ONE_LINE] if isinstance(text, str) else ""
