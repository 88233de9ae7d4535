"""Calls of the client's tools: names and arguments, checked against the session's signatures before anything runs.

No side effect has happened yet, so the model's next try is free. Only what is certain is reported: a name that the text
binds anywhere in the scope that it is read from is the program's own, and so is one that an earlier snippet of the session
may have bound; after `import *`, `exec` and the like nothing is certain. `*args` and `**options` stand for any number.

Signatures come from the tenant, as the text does. They are data here: compared, bounded, clipped, never part of a pattern.
"""

from __future__ import annotations

import ast
import difflib
from typing import TYPE_CHECKING, Any, NamedTuple

from .findings import Findings, clip

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .inventory import Inventory
    from .scopes import Scope

OBJECT = "tools"
AWAITED = "aio"  # `tools.x.aio(...)` gives an awaitable of any tool
# What the object has beside the tools (protos/TOOLS.md).
ERRORS = frozenset(
    {
        "ToolError",
        "ToolUnknown",
        "ToolDenied",
        "ToolArgumentsError",
        "ToolResultError",
        "ToolBudgetExceeded",
        "ToolTimeout",
    }
)
ANY_NAME = "*"
_MAX_BOUND = 256
_MAX_NAME = 64  # of a tool: a longer name shadows none
_MAX_GUESSES = 20  # a hostile text has many unknown names; each guess compares with all tools
# What can bind a module's name without naming it in a binding that the pass sees.
_UNSEEN_NAMES = frozenset({"exec", "eval", "globals", "locals", "vars", "__import__", "__builtins__"})
_UNSEEN_MODULES = frozenset({"builtins", "__main__", "importlib", "runpy", "code", "ctypes", "gc"})
_UNSEEN_ATTRIBUTES = frozenset({"f_globals", "f_locals", "f_builtins", "__globals__", "__builtins__"})


class Signature(NamedTuple):
    """One tool, as calls of it are checked.

    Attributes:
        name: the tool's.
        parameters: in the order in which positional arguments fill them.
        required: those without which no call binds.
        takes_more: other keywords pass too.
        is_async: a call gives an awaitable.
        from_code: code may call it.
    """

    name: str
    parameters: tuple[str, ...]
    required: frozenset[str]
    takes_more: bool
    is_async: bool
    from_code: bool

    def __str__(self) -> str:
        shown = [one if one in self.required else f"{one}=…" for one in self.parameters]
        return f"{self.name}({', '.join([*shown, '**more'] if self.takes_more else shown)})"


class Toolbox:
    """The tools of a session, and the names that its earlier snippets may have bound to something else."""

    def __init__(self, tools: list[list[Any]], shadowed: list[str]) -> None:
        """Read what the daemon sent: `[name, parameters, required, takes_more, is_async, from_code]` each."""
        self.tools = {
            name: Signature(name, tuple(parameters), frozenset(required), more, is_async, from_code)
            for name, parameters, required, more, is_async, from_code in tools
        }
        self._shadowed = frozenset(shadowed)
        self._guesses = _MAX_GUESSES

    def means(self, name: str, scope: Scope) -> bool:
        """Say whether a name that is read in a scope is surely the tool, or the object, of that name."""
        return name not in self._shadowed and ANY_NAME not in self._shadowed and scope.resolve(name) is None

    def guess(self, name: str, among: Collection[str]) -> str:
        """Return a sentence that asks for the name most like it, or ""."""
        self._guesses -= 1
        near = difflib.get_close_matches(name[:_MAX_NAME], among, n=1) if self._guesses >= 0 else []
        return f"Do you mean {near[0]}? " if near else ""


def names_bound(inventory: Inventory) -> list[str]:
    """Return the names that a text binds for the snippets after it, `*` where that cannot be told."""
    names = inventory.top.bindings
    if len(names) > _MAX_BOUND or _binds_unseen(inventory):
        return [ANY_NAME]
    return [name for name in names if len(name) <= _MAX_NAME]


def check(tree: ast.Module, inventory: Inventory, toolbox: Toolbox, found: Findings) -> None:
    """Check each call of a tool, and each name taken from the object."""
    if _binds_unseen(inventory):
        return
    _check_names(inventory, toolbox, found)
    called = {id(call): tool for call, tool in _calls(inventory, toolbox)}
    for call, _ in inventory.calls:
        tool = called.get(id(call))
        if tool is not None and not tool.from_code:
            message = f"tool {tool.name!r} may not be called from code"
            hint = "Call it directly, as a tool call of its own, not inside a snippet."
            found.add("tool-not-for-code", message, node=call, hint=hint, symbol=tool.name)
        elif tool is not None:
            _check_arguments(call, tool, toolbox, found)
    _check_awaited(tree, called, found)


def _binds_unseen(inventory: Inventory) -> bool:
    for node, _ in inventory.imports:
        if any(alias.name == "*" for alias in node.names):
            return True
        paths = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
        if not _UNSEEN_MODULES.isdisjoint({path.partition(".")[0] for path in paths}):
            return True
    if not _UNSEEN_NAMES.isdisjoint({use.name.id for use in inventory.uses}):
        return True
    return not _UNSEEN_ATTRIBUTES.isdisjoint({node.attr for node, _ in inventory.attributes})


def _check_names(inventory: Inventory, toolbox: Toolbox, found: Findings) -> None:
    """`tools.NAME` fails for any name that is none, called or not."""
    uses = [use for use in inventory.uses if use.name.id == OBJECT and use.attributes]
    own = {use.attributes[0].attr for use in uses if not isinstance(use.attributes[0].ctx, ast.Load)}
    for use in uses:
        name = use.attributes[0].attr
        if name in toolbox.tools or name in ERRORS or name in own or name.startswith("_"):
            continue
        if toolbox.means(OBJECT, use.scope):
            message = f"there is no tool {clip(name)!r}"
            hint = toolbox.guess(name, toolbox.tools) + f"Tools: {_listed(toolbox)}."
            found.add("tool-unknown", message, node=use.attributes[0], hint=hint, symbol=name)


def _listed(toolbox: Toolbox) -> str:
    return ", ".join(str(tool) for tool in toolbox.tools.values() if tool.from_code) or "none"


def _calls(inventory: Inventory, toolbox: Toolbox) -> Iterator[tuple[ast.Call, Signature]]:
    """Find the calls that surely call a tool; one by `.aio` is asynchronous whatever the tool is."""
    for call, scope in inventory.calls:
        func: ast.expr = call.func
        awaited = isinstance(func, ast.Attribute) and func.attr == AWAITED
        if isinstance(func, ast.Attribute) and awaited:
            func = func.value
        tool = _tool_of(func, scope, toolbox)
        if tool is not None:
            yield call, tool._replace(is_async=tool.is_async or awaited)


def _tool_of(func: ast.expr, scope: Scope, toolbox: Toolbox) -> Signature | None:
    if isinstance(func, ast.Name):
        tool = toolbox.tools.get(func.id)
        return tool if tool is not None and toolbox.means(func.id, scope) else None
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == OBJECT:
        return toolbox.tools.get(func.attr) if toolbox.means(OBJECT, scope) else None
    return None


def _check_arguments(call: ast.Call, tool: Signature, toolbox: Toolbox, found: Findings) -> None:
    """Bind as the guest will; a call that cannot bind is reported with the signature."""
    places = [one for one in call.args if not isinstance(one, ast.Starred)]
    named = {keyword.arg: keyword for keyword in call.keywords if keyword.arg is not None}
    complete = not any(isinstance(one, ast.Starred) for one in call.args) and None not in {
        keyword.arg for keyword in call.keywords
    }
    filled = tool.parameters[: len(places)]
    if len(places) > len(tool.parameters):
        message = f"{tool.name}() takes {len(tool.parameters)} positional arguments, not {len(places)}"
        node = places[len(tool.parameters)]
        found.add("tool-arguments", message, node=node, hint=f"It is {tool}.", symbol=tool.name)
    for name, keyword in named.items():
        if name in filled:
            message = f"{tool.name}() gets {clip(name)!r} twice"
            found.add("tool-arguments", message, node=keyword, hint=f"It is {tool}.", symbol=name)
        elif name not in tool.parameters and not tool.takes_more:
            message = f"{tool.name}() has no parameter {clip(name)!r}"
            hint = f"{toolbox.guess(name, tool.parameters)}It is {tool}."
            found.add("tool-arguments", message, node=keyword, hint=hint, symbol=name)
    missing = [name for name in tool.parameters if name in tool.required and name not in {*filled, *named}]
    if missing and complete:
        message = f"{tool.name}() lacks {', '.join(map(repr, missing))}"
        found.add("tool-arguments", message, node=call, hint=f"It is {tool}.", symbol=missing[0])


def _check_awaited(tree: ast.Module, called: dict[int, Signature], found: Findings) -> None:
    """Warn of a call whose awaitable is thrown away: it is sent all the same, and nobody sees how it ends."""
    if not any(tool.is_async for tool in called.values()):
        return
    for node in ast.walk(tree):
        tool = called.get(id(node.value)) if isinstance(node, ast.Expr) else None
        if tool is not None and tool.is_async:
            message = f"the result of {tool.name}() is not awaited"
            hint = f"Write `await {tool.name}(…)`; an error of it is lost otherwise."
            found.add("tool-not-awaited", message, node=node, hint=hint, symbol=tool.name, action="warn")
