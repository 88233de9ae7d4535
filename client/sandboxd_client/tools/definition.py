"""A function of the caller's as a tool: its name, its schemas, who may call it, and what is wrapped around it."""

from __future__ import annotations

import builtins
import functools
import inspect
import json
import keyword
import re
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from sandboxd_client.tools.docstrings import Docs, parse_docstring
from sandboxd_client.tools.errors import ToolDefinitionError, ToolValueError
from sandboxd_client.tools.shapes import ANYTHING, Schema, Shape, shape_of
from sandboxd_client.tools.wrappers import ToolWrapper

Callers: TypeAlias = Literal["code", "direct", "both"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# The errors' classes are built-in names inside, as tools are.
_RESERVED = frozenset(
    {"tools", "final_answer", "display"}
    | {
        "ToolError",
        "ToolUnknown",
        "ToolDenied",
        "ToolArgumentsError",
        "ToolResultError",
        "ToolBudgetExceeded",
        "ToolTimeout",
    }
)
_MAX_DESCRIPTION_BYTES = 8 << 10


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that code in a sandbox, or a model directly, may have called; it runs here, never there.

    Make one with `tool` or by handing a function to `Sandbox(tools=[...])`. Called like the function it is the function.
    Nothing of it crosses to the daemon but name, description, schemas and the options; defaults that are text stay here
    too, for such a default may be a key.
    """

    name: str
    description: str
    parameters: Schema
    returns: Schema | None
    function: Callable[..., Any] = field(repr=False)
    is_async: bool = False
    callers: Callers = "both"
    timeout_seconds: float = 0.0
    wrappers: tuple[ToolWrapper, ...] = ()
    hide_errors: bool = False
    shapes: dict[str, Shape] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, without wrappers and checks."""
        return self.function(*args, **kwargs)

    def load(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments as the function's annotations promise them.

        Raises:
            ToolValueError: one does not fit; the daemon has checked the schema, so this is rare.
        """
        loaded = {}
        for name, value in arguments.items():
            shape = self.shapes.get(name)
            if shape is None:
                raise ToolValueError(f"there is no parameter {name!r:.80}")
            try:
                loaded[name] = shape.load(value)
            except (ValueError, TypeError, KeyError, ArithmeticError) as error:
                raise ToolValueError(f"the argument {name!r} does not fit") from error
        return loaded


def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    callers: Callers = "both",
    timeout: float | None = None,
    wrappers: Sequence[ToolWrapper] = (),
    hide_errors: bool = False,
) -> Any:
    """Make a tool of a function, as `@tool`, `@tool(callers="direct")` or `tool(function, ...)`.

    Args:
        function: sync or async; each parameter annotated. Its docstring describes it and its parameters.
        name: what the code calls it; None for the function's own name.
        description: what a model is told; None takes it from the docstring.
        callers: who may call it: "code" in the sandbox, a model "direct" by JSON, or "both".
        timeout: seconds for one call; None for the policy's limit, which it may only narrow.
        wrappers: run before and after each call, outermost first: see `approval`, `call_limit`, `logged`.
        hide_errors: send only the class of an exception inside, not its text.

    Raises:
        ToolDefinitionError: it cannot be a tool; the message names the parameter and the remedy.
    """
    if function is None:
        return functools.partial(
            tool,
            name=name,
            description=description,
            callers=callers,
            timeout=timeout,
            wrappers=wrappers,
            hide_errors=hide_errors,
        )
    if callers not in typing.get_args(Callers):
        raise ToolDefinitionError(f'callers is "code", "direct" or "both", not {callers!r}.')
    if timeout is not None and not 0 < timeout < float("inf"):
        raise ToolDefinitionError(
            "timeout is a number of seconds above 0; leave it out for the policy's limit."
        )
    called = _name(function, name)
    docs = parse_docstring(_docstring(function))
    shapes, parameters = _parameters(function, called, docs)
    return Tool(
        name=called,
        description=_described(docs.description if description is None else description, called),
        parameters=parameters,
        returns=_returns(function, called, docs),
        function=function,
        is_async=_is_async(function, called),
        callers=callers,
        timeout_seconds=timeout or 0.0,
        wrappers=tuple(wrappers),
        hide_errors=hide_errors,
        shapes=shapes,
    )


def as_tools(things: Sequence[Tool | Callable[..., Any]]) -> tuple[Tool, ...]:
    """Return tools and functions as tools.

    Raises:
        ToolDefinitionError: one cannot be a tool, or two have one name.
    """
    made = tuple(thing if isinstance(thing, Tool) else _made(thing) for thing in things)
    names = [one.name for one in made]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ToolDefinitionError(
            f"Two tools are called {twice!r}: give one another name with tool(f, name=...)."
        )
    return made


def _made(thing: Any) -> Tool:
    if not callable(thing):
        raise ToolDefinitionError(
            f"A tool is a function or what @tool made of one, not a {type(thing).__name__}."
        )
    made: Tool = tool(thing)
    return made


def _innermost(function: Any) -> Any:
    """Return the function behind partials."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _of_instance(function: Any) -> Any:
    """Return what carries hints and coroutine flag: the function itself, or the __call__ of an instance."""
    inner = _innermost(function)
    return inner if inspect.isroutine(inner) or inspect.isclass(inner) else type(inner).__call__


def _name(function: Any, wanted: str | None) -> str:
    name = wanted or str(getattr(_innermost(function), "__name__", type(function).__name__))
    if not _NAME.fullmatch(name):
        raise ToolDefinitionError(
            f"{name!r:.80} is no name for a tool: letters, digits and _, a letter first, 64 at most."
            " Give it one with tool(f, name=...)."
        )
    taken = keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name)
    if taken or name in _RESERVED:
        raise ToolDefinitionError(
            f"{name!r} means something in Python or in the sandbox already: give the tool another name"
            " with tool(f, name=...)."
        )
    return name


def _docstring(function: Any) -> str | None:
    inner = _innermost(function)
    if inspect.isroutine(inner):
        return inspect.getdoc(inner)
    return inspect.getdoc(type(inner).__call__) or inspect.getdoc(type(inner))


def _described(text: str, name: str) -> str:
    if len(text.encode("utf-8", "replace")) > _MAX_DESCRIPTION_BYTES:
        raise ToolDefinitionError(
            f"The description of {name} has more than {_MAX_DESCRIPTION_BYTES} bytes: shorten it."
        )
    return text


def _is_async(function: Any, name: str) -> bool:
    inner = _of_instance(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise ToolDefinitionError(f"{name} is a generator: collect what it yields and return a list.")
    return inspect.iscoroutinefunction(inner)


def _hints(function: Any, name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(_of_instance(function), include_extras=True)
    except (NameError, AttributeError, TypeError) as error:
        raise ToolDefinitionError(
            f"{name}: an annotation cannot be resolved ({error}): import its type where the function is defined,"
            " not under TYPE_CHECKING."
        ) from None


def _parameters(function: Any, name: str, docs: Docs) -> tuple[dict[str, Shape], Schema]:
    hints = _hints(function, name)
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        raise ToolDefinitionError(
            f"{name} has no signature that can be read: wrap it in a function of your own."
        ) from None
    bound = function.keywords if isinstance(function, functools.partial) else {}
    shapes: dict[str, Shape] = {}
    properties: dict[str, Schema] = {}
    required = []
    for parameter in signature.parameters.values():
        if parameter.name in bound:
            continue  # a value that was bound is the caller's own: neither shown nor to be replaced from inside
        shape = _parameter(parameter, hints, name)
        shapes[parameter.name] = shape
        properties[parameter.name] = _property(shape, parameter, docs)
        if parameter.default is inspect.Parameter.empty:
            required.append(parameter.name)
    return shapes, {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _parameter(parameter: inspect.Parameter, hints: dict[str, Any], name: str) -> Shape:
    where = f"parameter {parameter.name!r} of {name}"
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise ToolDefinitionError(f"{where}: arguments pass by name: take the / out of the signature.")
    if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise ToolDefinitionError(
            f"{where}: a tool has named parameters only: write a list[...] or dict[str, ...] parameter instead."
        )
    if parameter.name in hints:
        return shape_of(hints[parameter.name], where)
    if parameter.name == "self":
        raise ToolDefinitionError(f"{where}: hand over the bound method, tools=[thing.{name}].")
    raise ToolDefinitionError(f"{where}: it has no annotation: write its type, typing.Any for anything.")


def _property(shape: Shape, parameter: inspect.Parameter, docs: Docs) -> Schema:
    schema = dict(shape.schema)
    if told := docs.parameters.get(parameter.name):
        schema["description"] = told
    if _tellable(parameter.default, shape):
        schema["default"] = getattr(parameter.default, "value", parameter.default)
    return schema


def _tellable(default: Any, shape: Shape) -> bool:
    """Tell whether a default may be shown: numbers, bools, None, and text that is one of the listed choices."""
    if isinstance(default, bool | int | float | None):
        return default == default  # noqa: PLR0124 - nan
    return default == "" or (
        "enum" in shape.schema and getattr(default, "value", default) in shape.schema["enum"]
    )


def _returns(function: Any, name: str, docs: Docs) -> Schema | None:
    hints = _hints(function, name)
    if "return" not in hints:
        return {"description": docs.returns} if docs.returns else None
    shape = shape_of(hints["return"], f"the result of {name}", result=True)
    if shape is ANYTHING and not docs.returns:
        return None
    return {**shape.schema, **({"description": docs.returns} if docs.returns else {})}


def schema_text(schema: Schema | None) -> str:
    """Return a schema as JSON text, "" for none."""
    return "" if schema is None else json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
