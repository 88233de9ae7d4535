"""What a client registers as tools: each checked before it is taken, none or all."""

from __future__ import annotations

import builtins
import json
import keyword
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import ToolCallers, ToolSpec
from sandboxd.guest.tool_errors import CLASSES
from sandboxd.tools import schemas
from sandboxd.tools.schemas import Schema, SchemaError
from sandboxd.tools.values import TAG

MAX_TOOLS = 128
MAX_TOTAL_BYTES = 512 << 10
MAX_TOTAL_NODES = 20_000  # some 15 ms of the loop that serves all
MAX_DESCRIPTION_BYTES = 8 << 10
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
# A tool is a built-in name inside: one of Python's own would mean something else from then on.
_TAKEN = (
    frozenset(dir(builtins))
    | {"tools", "final_answer", "display", "exit", "quit", "help"}
    | {error.__name__ for error in CLASSES}
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that was taken. `returns` is None where any value will do."""

    spec: ToolSpec
    parameters: Schema
    returns: Schema | None

    def may_call(self, *, direct: bool) -> bool:
        """Tell whether code, or a model through the client, may call it at all."""
        return self.spec.callers in {ToolCallers.BOTH, ToolCallers.DIRECT if direct else ToolCallers.CODE}


def read(specs: Sequence[ToolSpec]) -> dict[str, Tool]:
    """Check specifications as a client sent them.

    Raises:
        SandboxdError: TOOL_INVALID, naming the tool and the key.
    """
    if len(specs) > MAX_TOOLS:
        _refuse("", "tools", f"there are {len(specs)}, and {MAX_TOOLS} are the most")
    tools: dict[str, Tool] = {}
    total = written = nodes = 0
    for spec in specs:
        total += sum(map(_bytes, (spec.name, spec.description, spec.parameters_json, spec.returns_json)))
        if total > MAX_TOTAL_BYTES:
            _refuse(spec.name, "tools", f"all together take more than {MAX_TOTAL_BYTES:,} bytes")
        if spec.name in tools:
            _refuse(spec.name, "name", "is there twice")
        tool = tools[spec.name] = _tool(spec)
        for schema in (tool.parameters, tool.returns):
            if schema is not None:
                written, nodes = written + schema.characters, nodes + schema.nodes
        if written > MAX_TOTAL_BYTES or nodes > MAX_TOTAL_NODES:
            _refuse(
                spec.name,
                "tools",
                f"all schemas have more than {MAX_TOTAL_BYTES:,} characters or {MAX_TOTAL_NODES:,} nodes"
                " with their references written out",
            )
    return tools


def for_guest(tools: Mapping[str, Tool]) -> str:
    """Give what a guest is told of the tools that code may call, as JSON; "" where there are none."""
    told = [
        {
            "name": tool.spec.name,
            "description": tool.spec.description,
            "parameters": json.dumps(tool.parameters.raw, ensure_ascii=False),
            "returns": json.dumps(tool.returns.raw, ensure_ascii=False) if tool.returns is not None else "",
            "is_async": tool.spec.is_async,
        }
        for tool in tools.values()
        if tool.may_call(direct=False)
    ]
    return json.dumps(told, ensure_ascii=False) if told else ""


def _tool(spec: ToolSpec) -> Tool:
    _check_name(spec.name)
    if _bytes(spec.description) > MAX_DESCRIPTION_BYTES:
        _refuse(spec.name, "description", f"takes more than {MAX_DESCRIPTION_BYTES:,} bytes")
    if not math.isfinite(spec.timeout_seconds) or spec.timeout_seconds < 0:
        _refuse(spec.name, "timeout_seconds", "must be a finite number of seconds, 0 or more")
    parameters = _schema(spec, "parameters_json", spec.parameters_json)
    returns = _schema(spec, "returns_json", spec.returns_json) if spec.returns_json else None
    return Tool(spec, _closed(spec.name, parameters), returns)


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        _refuse(name, "name", "must be 1 to 64 of A-Z a-z 0-9 _, a letter first")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        _refuse(name, "name", "is a keyword of Python")
    if name in _TAKEN:
        _refuse(name, "name", "is a built-in name inside; choose another")


def _schema(spec: ToolSpec, key: str, text: str) -> Schema:
    try:
        return schemas.read(text)
    except SchemaError as error:
        _refuse(spec.name, key, str(error))


def _closed(name: str, schema: Schema) -> Schema:
    """Hold the parameters to the form of an argument list, closed against others unless they say so."""
    raw = schema.raw
    if not isinstance(raw, dict) or raw.get("type") != "object" or TAG in raw:
        _refuse(name, "parameters_json", 'must be {"type": "object", "properties": {…}}')
    properties = raw.get("properties", {})
    for parameter in properties:
        if (
            _PARAMETER.fullmatch(parameter) is None
            or keyword.iskeyword(parameter)
            or parameter.startswith("__")
        ):
            _refuse(
                name, "parameters_json", f"has the parameter {parameter[:64]!r}, which is no name of Python's"
            )
    unknown = sorted(set(raw.get("required", ())) - set(properties))
    if unknown:
        _refuse(name, "parameters_json", f"requires {unknown[0][:64]!r}, which is no property")
    return Schema(
        {"properties": {}, "additionalProperties": False, **raw}, schema.nodes + 1, schema.characters
    )


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _refuse(name: str, key: str, problem: str) -> NoReturn:
    subject = f"Tool {name[:64]!r}, {key}: " if name else f"{key}: "
    raise SandboxdError(
        Code.TOOL_INVALID,
        f"{subject}{problem}.",
        remedy="See protos/TOOLS.md.",
        failure=FailureClass.NOT_STARTED,
        tool=name[:64],
        key=key,
    )
