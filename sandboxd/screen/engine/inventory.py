"""One iterative pass over a tree: counts it, sorts its nodes by what the rules ask about, and binds names to scopes."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from .scopes import Binding, Scope

_LEAVES = frozenset(
    {
        "id",
        "attr",
        "ctx",
        "name",
        "arg",
        "asname",
        "module",
        "level",
        "kind",
        "type_comment",
        "conversion",
        "kwd_attrs",
    }
)


class OverBudgetError(Exception):
    """The tree is larger than allowed; nothing else about it is worth saying."""

    def __init__(self, rule: str, node: ast.AST) -> None:
        super().__init__(rule)
        self.rule = rule
        self.node = node


class Use(NamedTuple):
    """A name that is read, with the attributes behind it (inner to outer): `os.path.join` is os, [path, join]."""

    name: ast.Name
    attributes: list[ast.Attribute]
    scope: Scope


class Binder(NamedTuple):
    """A place that binds a name, and the scope it stands in; None where the name belongs to another scope or to none."""

    name: str
    node: ast.AST
    scope: Scope | None


class Inventory:
    """What one tree holds."""

    def __init__(self, max_nodes: int, max_depth: int) -> None:
        self.count = 0
        self.deepest = 0
        self.top = Scope("module")
        self.kinds: dict[type[ast.AST], ast.AST] = {}  # first node of each kind
        self.uses: list[Use] = []
        self.binders: list[Binder] = []
        self.attributes: list[
            tuple[ast.Attribute, str]
        ] = []  # with the attribute that is taken of it, if any
        self.templates: list[tuple[ast.Attribute, Scope]] = []  # x.format, x.format_map
        self.calls: list[tuple[ast.Call, Scope]] = []
        self.classes: list[tuple[ast.ClassDef, Scope, Scope]] = []  # the scope around it, its own scope
        self.imports: list[tuple[Any, Scope]] = []
        self.constants: list[ast.Constant] = []
        self.operations: list[ast.BinOp | ast.AugAssign] = []
        self.iterated: list[ast.expr] = []
        self.specs: list[ast.expr] = []  # what follows the colon in f-strings
        self.assigned: dict[int, ast.expr] = {}  # by id of a single target: what is assigned to it
        self.renamed: set[int] = set()  # by id: the name `type` where it is assigned to another one
        self.patterns: list[Any] = []
        self._max_nodes = max_nodes
        self._max_depth = max_depth
        self._stack: list[tuple[ast.AST, Scope, int]] = []
        self._declaring: list[Scope] = []  # scopes with global or nonlocal, outer before inner
        self._constant_targets: set[int] = set()

    def collect(self, tree: ast.Module) -> Inventory:
        """Take a whole tree in.

        Raises:
            OverBudgetError: too many nodes, or too deep.
        """
        # What stands in this loop is paid for each node of each text: no call that can be spared, and local names.
        stack, kinds, uses, constants = self._stack, self.kinds, self.uses, self.constants
        name, constant, load, max_nodes = ast.Name, ast.Constant, ast.Load, self._max_nodes
        handler_of, generic, make, deepest = _HANDLERS.get, Inventory._push_children, tuple.__new__, 0
        stack.append((tree, self.top, 1))
        while stack:
            node, scope, depth = stack.pop()
            kind = type(node)
            if kind not in kinds:
                kinds[kind] = node
            self.count += 1
            if depth > deepest:
                deepest = depth
                self.deepest = max(self.deepest, depth)  # a chain of attributes may have been deeper
                if depth > self._max_depth:
                    self._refuse(node, depth)
            if self.count > max_nodes:
                self._refuse(node, depth)
            if kind is name and type(node.ctx) is load:  # type: ignore[attr-defined]
                uses.append(make(Use, (node, [], scope)))
            elif kind is constant:
                constants.append(node)  # type: ignore[arg-type]
            elif kind in _CHILDLESS:
                continue
            else:
                (handler_of(kind) or generic)(self, node, scope, depth + 1)
        for scope in self._declaring:
            scope.settle()
        return self

    def _count(self, node: ast.AST, depth: int) -> None:
        self.count += 1
        self.deepest = max(self.deepest, depth)
        if self.count > self._max_nodes or depth > self._max_depth:
            self._refuse(node, depth)

    def _refuse(self, node: ast.AST, depth: int) -> NoReturn:
        raise OverBudgetError("too-deeply-nested" if depth > self._max_depth else "too-many-nodes", node)

    def _push_children(self, node: ast.AST, scope: Scope, depth: int) -> None:
        stack, kind = self._stack, type(node)
        for field in _FIELDS[kind] if kind in _FIELDS else _fields(kind):
            value = getattr(node, field, None)
            if type(value) is list:
                for item in value:
                    if item is not None:  # `{**x}` has a key that is none
                        stack.append((item, scope, depth))
            elif isinstance(value, ast.AST):
                stack.append((value, scope, depth))

    def _push(self, nodes: list[Any], scope: Scope, depth: int) -> None:
        self._stack.extend([(node, scope, depth) for node in nodes if node is not None])

    def _bind(self, name: str, node: ast.AST, scope: Scope) -> Binding:
        self.binders.append(tuple.__new__(Binder, (name, node, scope)))  # half the time of the constructor
        return scope.bind(name)

    # ---- names and attributes

    def _name(self, node: ast.Name, scope: Scope, _: int) -> None:
        binding = self._bind(node.id, node, scope)
        if id(node) in self._constant_targets:
            binding.constant = True
        else:
            binding.other = True

    def _attribute(self, node: ast.Attribute, scope: Scope, depth: int) -> None:
        """Follow a chain to its root, so that `a.b.c` is one use of `a`; every link counts."""
        chain: list[ast.Attribute] = []
        current: ast.expr = node
        taken = ""
        while isinstance(current, ast.Attribute):
            if chain:
                self._count(current, depth + len(chain) - 1)
            chain.append(current)
            self.attributes.append((current, taken))
            if current.attr in {"format", "format_map"}:
                self.templates.append((current, scope))
            taken = current.attr
            current = current.value
        if isinstance(current, ast.Name):
            self.kinds.setdefault(ast.Name, current)
            self._count(current, depth + len(chain) - 1)
            self.uses.append(Use(current, chain[::-1], scope))
        else:
            self._stack.append((current, scope, depth + len(chain) - 1))

    # ---- statements that bind

    def _assign(self, node: Any, scope: Scope, depth: int) -> None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self._constant_targets.update(id(target) for target in targets)
        elif isinstance(node.value, (ast.Tuple, ast.List)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self.assigned.update((id(target), node.value) for target in targets)
        elif isinstance(node.value, ast.Name) and node.value.id == "type":
            self.renamed.add(id(node.value))
        self._push_children(node, scope, depth)

    def _import(self, node: ast.Import, scope: Scope, _: int) -> None:
        self.imports.append((node, scope))
        for alias in node.names:
            root = alias.name.partition(".")[0]
            path, name = (alias.name, alias.asname) if alias.asname else (root, root)
            self._bind(name, alias, scope).modules.append((path, True))

    def _import_from(self, node: ast.ImportFrom, scope: Scope, _: int) -> None:
        self.imports.append((node, scope))
        for alias in node.names:
            if alias.name != "*":
                binding = self._bind(alias.asname or alias.name, alias, scope)
                binding.modules.append((f"{node.module or ''}.{alias.name}", False))

    def _foreign(self, node: Any, scope: Scope, _: int) -> None:
        if not scope.foreign:
            self._declaring.append(scope)
        for name in node.names:
            self.binders.append(Binder(name, node, None))
            scope.foreign[name] = "global" if isinstance(node, ast.Global) else "nonlocal"

    def _handler(self, node: ast.ExceptHandler, scope: Scope, depth: int) -> None:
        if node.name:
            self._bind(node.name, node, scope).exception = True
        self._push_children(node, scope, depth)

    def _named(self, node: Any, scope: Scope, depth: int) -> None:
        """MatchAs, MatchStar, MatchMapping, type parameters."""
        self.patterns.append(node)
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if isinstance(name, str):
            self._bind(name, node, scope).other = True
        self._push_children(node, scope, depth)

    def _walrus(self, node: ast.NamedExpr, scope: Scope, depth: int) -> None:
        outer = scope
        while outer.kind == "comprehension" and outer.parent is not None:
            outer = outer.parent
        self._stack.append((node.target, outer, depth))
        self._stack.append((node.value, scope, depth))

    # ---- nodes that open a scope

    def _function(self, node: Any, scope: Scope, depth: int) -> None:
        inner = Scope("function", scope)
        if not isinstance(node, ast.Lambda):
            self._bind(node.name, node, scope).other = True
            self._push([*node.decorator_list, node.returns], scope, depth)
            self._push(list(getattr(node, "type_params", ())), inner, depth)
        self._parameters(node.args, scope, inner, depth)
        self._push(node.body if isinstance(node.body, list) else [node.body], inner, depth)

    def _parameters(self, args: ast.arguments, scope: Scope, inner: Scope, depth: int) -> None:
        for arg in (*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg):
            if arg is not None:
                self._count(arg, depth)
                self._bind(arg.arg, arg, inner).other = True
                self._push([arg.annotation], scope, depth + 1)
        self._push([*args.defaults, *args.kw_defaults], scope, depth)

    def _class(self, node: ast.ClassDef, scope: Scope, depth: int) -> None:
        self._bind(node.name, node, scope).other = True
        inner = Scope("class", scope)
        self.classes.append((node, scope, inner))
        self._push([*node.decorator_list, *node.bases, *node.keywords], scope, depth)
        self._push(list(getattr(node, "type_params", ())), inner, depth)
        self._push(list(node.body), inner, depth)

    def _comprehension(self, node: Any, scope: Scope, depth: int) -> None:
        inner = Scope("comprehension", scope)
        for number, generator in enumerate(node.generators):
            self.iterated.append(generator.iter)
            self._count(generator, depth)
            self._push([generator.iter], inner if number else scope, depth + 1)
            self._push([generator.target, *generator.ifs], inner, depth + 1)
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._push(results, inner, depth)

    # ---- nodes that only need to be listed

    def _call(self, node: ast.Call, scope: Scope, depth: int) -> None:
        self.calls.append((node, scope))
        stack = self._stack
        stack.append((node.func, scope, depth))
        for argument in (*node.args, *node.keywords):
            stack.append((argument, scope, depth))

    def _operation(self, node: ast.BinOp | ast.AugAssign, scope: Scope, depth: int) -> None:
        self.operations.append(node)
        self._push_children(node, scope, depth)

    def _formatted(self, node: ast.FormattedValue, scope: Scope, depth: int) -> None:
        if node.format_spec is not None:
            self.specs.append(node.format_spec)
        self._push_children(node, scope, depth)

    def _for(self, node: Any, scope: Scope, depth: int) -> None:
        self.iterated.append(node.iter)
        self._push_children(node, scope, depth)

    def _keyword(self, node: ast.keyword, scope: Scope, depth: int) -> None:
        if node.arg is not None:
            self.binders.append(Binder(node.arg, node, None))
        self._stack.append((node.value, scope, depth))

    def _match_class(self, node: Any, scope: Scope, depth: int) -> None:
        self.patterns.append(node)
        self._push_children(node, scope, depth)


def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    fields = _FIELDS.get(kind)
    if fields is None:
        fields = _FIELDS[kind] = tuple(name for name in kind._fields if name not in _LEAVES)
    return fields


# Operators, and statements of one word: a fifth of a text's nodes. Counted, and nothing is below them.
_CHILDLESS = frozenset(
    kind
    for family in (ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.stmt)
    for kind in family.__subclasses__()
    if not kind._fields
)
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}
_METHODS = {
    "Name": "_name",  # not those that are read
    "Attribute": "_attribute",
    "Assign": "_assign",
    "AnnAssign": "_assign",
    "Import": "_import",
    "ImportFrom": "_import_from",
    "Global": "_foreign",
    "Nonlocal": "_foreign",
    "ExceptHandler": "_handler",
    "NamedExpr": "_walrus",
    "FunctionDef": "_function",
    "AsyncFunctionDef": "_function",
    "Lambda": "_function",
    "ClassDef": "_class",
    "ListComp": "_comprehension",
    "SetComp": "_comprehension",
    "DictComp": "_comprehension",
    "GeneratorExp": "_comprehension",
    "Call": "_call",
    "BinOp": "_operation",
    "AugAssign": "_operation",
    "FormattedValue": "_formatted",
    "For": "_for",
    "AsyncFor": "_for",
    "keyword": "_keyword",
    "MatchAs": "_named",
    "MatchStar": "_named",
    "MatchMapping": "_named",
    "MatchClass": "_match_class",
    "TypeVar": "_named",
    "ParamSpec": "_named",
    "TypeVarTuple": "_named",
}
# Some kinds are known to some versions only.
_HANDLERS: dict[type[ast.AST], Callable[..., None]] = {
    getattr(ast, kind): getattr(Inventory, method) for kind, method in _METHODS.items() if hasattr(ast, kind)
}
