"""The client's functions as a program sees them: `tools.search("x")`, `search("x")`, `await tools.fetch.aio(url)`.

Nothing of a tool is here but its name, description and parameters: a call goes to the host, which checks it and asks the
client. What stands here helps programs; it guards nothing.
"""

from __future__ import annotations

import builtins
import difflib
import inspect
import json
import warnings
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Tuple

from sandboxd.guest import values
from sandboxd.guest.tool_errors import CLASSES, ToolArgumentsError, error_of

if TYPE_CHECKING:
    from sandboxd.guest.calls import Answer, Calls

_TYPES = {
    "string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list", "object": "dict",
    "null": "None", "bytes": "bytes", "image": "Image", "dataframe": "DataFrame",
}  # fmt: skip
_Parameter, _Signature = inspect.Parameter, inspect.Signature
_ABSENT = object()


class Annotation:
    """A parameter's type, for `help` and `repr` alone."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class Form:
    """How a tool is called."""

    __slots__ = ("description", "is_async", "name", "names", "open", "required", "signature")

    def __init__(self, raw: Mapping[str, Any]) -> None:
        schema = json.loads(raw["parameters"])
        properties: Dict[str, Any] = schema.get("properties", {})
        self.name: str = raw["name"]
        self.description: str = raw["description"]
        self.is_async: bool = raw["is_async"]
        self.names = tuple(properties)
        self.required = frozenset(schema.get("required", ()))
        self.open = schema.get("additionalProperties", False) is not False
        returns = json.loads(raw["returns"]) if raw.get("returns") else True
        self.signature = _Signature(
            self._parameters(properties), return_annotation=Annotation(_type_name(returns))
        )

    def _parameters(self, properties: Mapping[str, Any]) -> List[inspect.Parameter]:
        made: List[inspect.Parameter] = []
        keyword_only = False
        for name, schema in properties.items():
            default: Any = _Parameter.empty
            if name not in self.required:
                default = (
                    schema["default"]
                    if isinstance(schema, dict) and "default" in schema
                    else Annotation("...")
                )
            elif any(one.default is not _Parameter.empty for one in made):
                keyword_only = (
                    True  # Python has no required parameter after one with a default, but here it binds
                )
            kind = _Parameter.KEYWORD_ONLY if keyword_only else _Parameter.POSITIONAL_OR_KEYWORD
            made.append(_Parameter(name, kind, default=default, annotation=Annotation(_type_name(schema))))
        if self.open:
            rest = "more"
            while rest in properties:
                rest += "_"
            made.append(_Parameter(rest, _Parameter.VAR_KEYWORD))
        return made

    def __str__(self) -> str:
        return f"{'async ' if self.is_async else ''}{self.name}{self.signature}"

    def bind(self, positional: Tuple[Any, ...], keywords: Dict[str, Any]) -> Dict[str, Any]:
        """Give arguments by name.

        Raises:
            ToolArgumentsError: they do not fit the parameters.
        """
        if len(positional) > len(self.names):
            raise self._misfit(f"takes {len(self.names)} arguments, and {len(positional)} were given")
        bound = dict(zip(self.names, positional))
        for name, value in keywords.items():
            if name in bound:
                raise self._misfit(f"got {name!r} twice")
            if name not in self.names and not self.open:
                near = difflib.get_close_matches(name, self.names, 1)
                raise self._misfit(
                    f"has no argument {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                )
            bound[name] = value
        lacking = [name for name in self.names if name in self.required and name not in bound]
        if lacking:
            raise self._misfit(f"lacks {', '.join(map(repr, lacking))}")
        return bound

    def _misfit(self, problem: str) -> ToolArgumentsError:
        text = f"{problem}; its form is {self}"
        return ToolArgumentsError(
            f"{self.name}: {text}", tool=self.name, code="TOOL_ARGUMENTS", name="TOOL_ARGUMENTS", message=text
        )


class Toolbox:
    """`tools`: the client's functions by name."""

    __slots__ = ("__dict__",)

    def __init__(self, members: Mapping[str, Any]) -> None:
        self.__dict__.update(members)

    def __repr__(self) -> str:
        return describe(self.__dict__)

    def __getattr__(self, name: str) -> Any:
        raise missing(name, self.__dict__)


class Tools:
    """Makes the session's tools, and puts them where programs look."""

    __slots__ = ("_calls", "_given", "_plain", "_text", "errors", "functions")

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._plain = False
        self._text: Optional[str] = None
        self._given: Dict[str, Any] = {}
        self.functions: Dict[str, Callable[..., Any]] = {}
        self.errors = {error.__name__: error for error in CLASSES}
        # By default once a place in the code, which is the same one for all cells.
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)

    def restrict(self) -> None:
        """Give plain values only."""
        self._plain = True

    def update(self, text: Optional[str]) -> bool:
        """Take the tools of a run frame; None: the session has none. Tells whether they are others than before."""
        if text == self._text:
            return False
        self._text = text
        forms = [Form(raw) for raw in json.loads(text)] if text else []
        self.functions = {form.name: self._function(form) for form in forms}
        return True

    def install(self) -> None:
        """Make them built-ins, again for each cell; what a program put in the place of one that is gone stays."""
        names = {**self.functions, **self.errors, "tools": Toolbox({**self.functions, **self.errors})}
        fresh = names if self._text is not None else {}
        for name, value in self._given.items():
            if name not in fresh and getattr(builtins, name, _ABSENT) is value:
                delattr(builtins, name)
        for name, value in fresh.items():
            setattr(builtins, name, value)
        self._given = fresh

    def _function(self, form: Form) -> Callable[..., Any]:
        def call(*positional: Any, **keywords: Any) -> Any:
            sent = self._calls.send(
                form.name, values.encode_arguments(form.name, form.bind(positional, keywords))
            )
            return self._value(form.name, self._calls.wait(sent))

        def aio(*positional: Any, **keywords: Any) -> Any:
            sent = self._calls.send(
                form.name, values.encode_arguments(form.name, form.bind(positional, keywords))
            )
            coroutine: Any = self._awaited(form.name, sent)
            coroutine.__name__ = coroutine.__qualname__ = (
                f"tools.{form.name}"  # Python names one never awaited
            )
            return coroutine

        called = aio if form.is_async else call
        functions: Tuple[Any, ...] = (call, aio)
        for function in functions:
            function.__name__ = function.__qualname__ = form.name
            function.__module__ = "tools"
            function.__doc__ = form.description
            function.__signature__ = form.signature
        called.aio = aio  # type: ignore[attr-defined]
        return called

    async def _awaited(self, tool: str, sent: Any) -> Any:
        return self._value(tool, await self._calls.join(sent))

    def _value(self, tool: str, answer: Answer) -> Any:
        if answer.get("ok") is True:
            return values.decode(answer["value"], plain=self._plain)
        raise error_of(tool, answer.get("error") or {})


def describe(members: Mapping[str, Any]) -> str:
    """Give `repr(tools)`: each tool's form and the first line of its description."""
    lines = ["tools:"]
    for member in list(members.values()):
        signature = getattr(member, "__signature__", None)
        if signature is not None and not isinstance(member, type):
            said = (member.__doc__ or "").strip().split("\n", 1)[0]
            lines.append(f"  {member.__name__}{signature}" + (f"  # {said}" if said else ""))
    return "\n".join(lines)


def show_help(value: Any = _ABSENT) -> None:
    """Show what something is: its form and its documentation."""
    import pydoc  # noqa: PLC0415 - it brings much that no other cell needs

    if value is _ABSENT:
        print("help(x) shows what x is; nobody can type here.")  # noqa: T201
    else:
        print(pydoc.render_doc(value, "%s", renderer=pydoc.plaintext))  # type: ignore[attr-defined]  # noqa: T201


def missing(name: str, members: Mapping[str, Any]) -> AttributeError:
    """Say that there is no such tool, and which one may have been meant."""
    near = difflib.get_close_matches(name, members, 1)
    return AttributeError(f"there is no tool {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _type_name(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "Any"
    kind = schema.get(values.TAG, schema.get("type"))
    if isinstance(kind, list):
        return " | ".join(_TYPES.get(one, "Any") for one in kind)
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            return " | ".join(dict.fromkeys(map(_type_name, schema[key])))
    item = schema.get("items")
    if kind == "array" and isinstance(item, dict):
        return f"list[{_type_name(item)}]"
    return _TYPES.get(kind, "Any") if isinstance(kind, str) else "Any"
