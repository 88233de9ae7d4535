"""What the compiler refuses, and the transformer's base that notes it: scopes, names, binders."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

from RestrictedPython.transformer import RestrictingNodeTransformer

from .names import (
    ABSENT_BUILTINS,
    BOOKKEEPING,
    CLASS_FACTS,
    METHODS,
    READABLE,
    RESERVED,
    Kind,
    is_dunder,
    kind_of,
    mangled,
)

Span: TypeAlias = tuple[int, int, int, int]
"""Line, column, end line, end column, all counted from 1."""

REFUSED = "restrict-refused"
_MOST_REFUSALS = 100  # a report shows fewer


# Nodes without content that RestrictedPython knows: half of a tree, and nothing to decide about them.
_LEAVES = frozenset(
    kind
    for base in (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
    for kind in base.__subclasses__()
    if hasattr(RestrictingNodeTransformer, f"visit_{kind.__name__}")
)


class Refusal(NamedTuple):
    """One reason why there is no program: a rule of the screen's catalogue, and where."""

    rule: str
    message: str
    hint: str
    where: ast.AST | Span | None


class Scope(enum.Enum):
    """Where a name is bound."""

    MODULE = enum.auto()
    CLASS = enum.auto()
    FUNCTION = enum.auto()


class Checker(RestrictingNodeTransformer):
    """RestrictedPython's transformer with refusals that name their place, and this project's rule of names.

    The mutable state is the scope that the visit is in, and what was refused.
    """

    def __init__(self, tree: ast.Module) -> None:
        super().__init__()
        self.refusals: list[Refusal] = []
        self.pattern_names: set[int] = set()  # the nodes that bind a __match_args__ whose value was looked at
        self._tree = tree
        self._bound: frozenset[str] | None = None
        self._scope = Scope.MODULE
        self._class = ""

    def visit(self, node: ast.AST) -> Any:
        """Visit a node by its kind; see `generic_visit` for the unknown ones."""
        kind = type(node)
        return node if kind in _LEAVES else getattr(self, f"visit_{kind.__name__}", self.generic_visit)(node)

    def node_contents_visit(self, node: Any) -> Any:
        """Visit what a node holds, in place; as `ast.NodeTransformer` does, in half its time."""
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                value[:] = self.visit_all(value)
            elif isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
        return node

    # ---- refusing -------------------------------------------------------------------------------------------

    def refuse(self, node: ast.AST, message: str, hint: str, rule: str = REFUSED) -> None:
        """Note that a construct is not accepted."""
        if len(self.refusals) < _MOST_REFUSALS:
            self.refusals.append(Refusal(rule, message, hint, node))

    def error(self, node: ast.AST, info: str) -> None:
        """Take RestrictedPython's own findings as refusals."""
        self.refuse(node, info, "Write it in another way.")

    def warn(self, node: ast.AST, info: str) -> None:
        """Ignore RestrictedPython's warnings: they are about its way of printing."""

    def not_allowed(self, node: ast.AST) -> None:
        """Refuse a kind of syntax."""
        self.refuse(node, f"{type(node).__name__} is not available in restricted code", "Use plain syntax.")

    # ---- scopes ---------------------------------------------------------------------------------------------

    @contextmanager
    def within(self, scope: Scope, class_name: str | None = None) -> Iterator[None]:
        """Visit what follows as the body of a function or a class; in functions a class's names stay mangled."""
        before = self._scope, self._class
        self._scope, self._class = scope, self._class if class_name is None else class_name
        try:
            yield
        finally:
            self._scope, self._class = before

    def visit_all(self, nodes: list[Any]) -> list[Any]:
        """Visit nodes in order; statements may become several."""
        visited: list[Any] = []
        for node in nodes:
            result = self.visit(node) if isinstance(node, ast.AST) else node
            if isinstance(result, list):
                visited += result
            elif result is not None or node is None:
                visited.append(result)
        return visited

    # ---- names ----------------------------------------------------------------------------------------------

    def mangle(self, name: str) -> str:
        """Give a name as the compiler will have it here."""
        return mangled(name, self._class)

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:
        """Check a name that is bound: RestrictedPython asks so for every binder it knows."""
        if name is None:
            return
        if name in RESERVED:
            self._refuse_name(node, name, "Choose another name.", "reserved-name")
        elif name == "__match_args__" and id(node) not in self.pattern_names:
            self._refuse_name(node, name, "Assign it a tuple of plain names, directly in the class.")
        elif is_dunder(name):
            if not self._may_bind(name):
                self._refuse_name(node, name, _hint_of_binding(name, allow_magic_methods))
        elif self._scope is Scope.CLASS and kind_of(name) is Kind.REFUSED and not name.startswith("__"):
            # A dataclass makes patterns of its fields, and they read attributes by these names.
            self._refuse_name(node, name, "Choose another name for it.")

    def _may_bind(self, name: str) -> bool:
        if self._scope is Scope.CLASS:
            return name in METHODS or name in CLASS_FACTS
        return self._scope is Scope.MODULE and name in BOOKKEEPING

    def check_read(self, node: ast.AST, name: str) -> None:
        """Check a name that is read."""
        if name in RESERVED:
            self._refuse_name(node, name, "Choose another name.", "reserved-name")
        elif name in ABSENT_BUILTINS and not self._is_bound(name):
            self.refuse(
                node,
                f"{name} is not available in restricted code",
                ABSENT_BUILTINS[name],
                "builtin-not-allowed",
            )
        elif is_dunder(name) and name not in READABLE and not self._may_bind(name):
            self._refuse_name(node, name, "Use another way: this name belongs to Python.")

    def _refuse_name(self, node: ast.AST, name: str, hint: str, rule: str = REFUSED) -> None:
        self.refuse(node, f"the name {name[:80]!r} is not available in restricted code", hint, rule)

    def _is_bound(self, name: str) -> bool:
        """Tell whether the text gives a builtin's name to something of its own."""
        if self._bound is None:
            self._bound = frozenset(_binders(self._tree))
        return name in self._bound


def _hint_of_binding(name: str, is_function: bool) -> str:
    if not is_function:
        return "Choose a name without two underscores at both ends."
    return f"Give the class a method with a plain name; {name} is called by Python at times that guards do not see."


def _binders(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
