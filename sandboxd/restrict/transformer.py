"""The transformer: one method a kind of node. What has none is refused, so a new Python adds nothing silently.

A rewritten node keeps the place of what the user wrote: tracebacks and carets are theirs.
"""

from __future__ import annotations

import ast
from typing import Any, cast

from .names import Kind, kind_of
from .patterns import PatternChecker
from .refusals import Scope
from .rewriting import bind, hook, is_class_name, is_harmless_template, last_name, owner, unless_known

_METACLASSES = frozenset({"ABCMeta", "EnumMeta", "EnumType"})
_WRITERS = {
    Kind.PLAIN: "write",
    Kind.FORMAT: "write",
    Kind.OBJECT: "write",
    Kind.PRIVATE: "write_private",
    Kind.LABEL: "write_label",
}
_HINTS = {
    "__class__": "Use type(x); for the name, type(x).__name__.",
    "__dict__": "Read the attributes by name, or keep a dict of your own.",
    "__new__": "Use __init__, or a function that makes the object.",
    "__traceback__": "Print the exception itself.",
    "__setattr__": "Set the attribute with a statement or setattr().",
}


class Transformer(PatternChecker):
    """Rewrites a parsed module in place into one whose every dangerous access goes through a hook."""

    # ---- names ----------------------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> Any:
        """Check the name; `print` is an ordinary builtin here."""
        if isinstance(node.ctx, ast.Load):
            self.check_read(node, node.id)
        else:
            self.check_name(node, node.id)
        return node

    def visit_Global(self, node: ast.Global) -> Any:
        """Check each name: the statement makes it one of the module's."""
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> Any:
        """Check each name; else it is as harmless as the assignment it allows."""
        for name in node.names:
            self.check_name(node, name)
        return node

    # ---- attributes -----------------------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """Keep a load of a plain name; send every other one, and each store and deletion, through a guard."""
        if is_class_name(node):
            return self._class_name(node)
        node.value = self.visit(node.value)
        name = self.mangle(node.attr)
        kind = kind_of(name)
        if not isinstance(node.ctx, ast.Load):
            return self._written(node, kind, name)
        if kind is Kind.PLAIN:
            return node
        if kind is Kind.REFUSED:
            return self._refused_attribute(node)
        guarded = hook(node, kind.value, node.value, ast.Constant(name))
        return unless_known(node, node.value, "open", node, guarded) if kind is Kind.PRIVATE else guarded

    def _written(self, node: ast.Attribute, kind: Kind, name: str) -> Any:
        writer = _WRITERS.get(kind)
        if writer is None:
            return self._refused_attribute(node)
        arguments = [node.value, ast.Constant(name)] if kind is Kind.PRIVATE else [node.value]
        node.value = owner(node.value, writer, *arguments)
        return node

    def _refused_attribute(self, node: ast.Attribute) -> ast.Attribute:
        hint = _HINTS.get(node.attr, "Use another way: this attribute leads out of the program.")
        self.refuse(node, f"the attribute {node.attr[:80]!r} is not available in restricted code", hint)
        return node

    def _class_name(self, node: ast.Attribute) -> Any:
        """Allow `x.__class__.__name__`, which says no more than `type(x).__name__`."""
        inner = cast("ast.Attribute", node.value)
        kind = hook(inner, "class_of", self.visit(inner.value))
        return hook(node, Kind.LABEL.value, kind, ast.Constant(node.attr))

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """Keep the statement: Python reads its target once, before the value, and stores last.

        An attribute's object is checked for both, since the load beside the store is Python's own too.
        """
        target = node.target
        if not isinstance(target, ast.Attribute):
            return self.node_contents_visit(node)
        name = self.mangle(target.attr)
        kind = kind_of(name)
        target.value = self.visit(target.value)
        if kind is Kind.PLAIN:
            target.value = owner(target.value, "write", target.value)
        elif kind is Kind.PRIVATE:
            target.value = owner(target.value, "change_private", target.value, ast.Constant(name))
        else:
            self._refused_attribute(target)
        node.op = self.visit(node.op)
        node.value = self.visit(node.value)
        return node

    # ---- Python's own protocols: see the package's docstring for why they stay ----------------------------------

    def _kept(self, node: Any) -> Any:
        return self.node_contents_visit(node)

    visit_Subscript = visit_For = visit_comprehension = visit_With = visit_Assign = _kept  # noqa: N815
    visit_AsyncFor = visit_AsyncWith = visit_Await = visit_AnnAssign = visit_NamedExpr = _kept  # noqa: N815

    def visit_Call(self, node: ast.Call) -> Any:
        """Keep the call. A literal template that names no attribute is Python's own to format."""
        function = node.func
        if isinstance(function, ast.Attribute) and is_harmless_template(function):
            node.args = self.visit_all(node.args)
            node.keywords = self.visit_all(node.keywords)
            return node
        return self.node_contents_visit(node)

    # ---- functions and classes ------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: Any) -> Any:
        """Check name and arguments; the body is its own scope."""
        self._no_type_parameters(node)
        self.check_name(node, node.name, allow_magic_methods=True)
        node.decorator_list = self.visit_all(node.decorator_list)
        with self.within(Scope.FUNCTION):
            self.check_function_argument_names(node)
            node.args = self.visit(node.args)
            if node.returns is not None:
                node.returns = self.visit(node.returns)
            node.body = self.visit_all(node.body)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        """Check the arguments; the body is its own scope."""
        with self.within(Scope.FUNCTION):
            return super().visit_Lambda(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        """Keep the statement, keywords and all: the builder that it calls is a guard."""
        self._no_type_parameters(node)
        self.check_name(node, node.name)
        for keyword in node.keywords:
            if keyword.arg == "metaclass" and last_name(keyword.value) not in _METACLASSES:
                hint = "Use a class decorator, or a base class."
                self.refuse(keyword, "only ABCMeta and EnumMeta can be metaclasses in restricted code", hint)
        node.decorator_list = self.visit_all(node.decorator_list)
        node.bases = self.visit_all(node.bases)
        node.keywords = self.visit_all(node.keywords)
        with self.within(Scope.CLASS, node.name):
            for statement in node.body:
                self._check_match_args(statement)
            node.body = self.visit_all(node.body)
        return node

    def _no_type_parameters(self, node: Any) -> None:
        """Refuse PEP 695: bounds and defaults are evaluated later, by who asks."""
        if getattr(node, "type_params", None):
            self.refuse(node, "type parameters are not available in restricted code", "Leave them out.")

    # ---- modules --------------------------------------------------------------------------------------------

    def visit_Module(self, node: ast.Module) -> Any:
        """Visit the statements; nothing is put before them."""
        node.body = self.visit_all(node.body)
        return node

    def visit_Import(self, node: ast.Import) -> Any:
        """Turn `import a.b` into an assignment from the import hook."""
        self._no_lazy_import(node)
        statements = []
        for alias in node.names:
            if alias.asname is None:
                name, form = alias.name.partition(".")[0], "import_top"
            else:
                name, form = alias.asname, "import_leaf"
            self.check_name(alias, name)
            statements.append(bind(alias, name, hook(alias, form, ast.Constant(alias.name))))
        return statements

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """Turn each name of `from a import b` into an assignment: Python's own way reads what no guard sees."""
        self._no_lazy_import(node)
        if node.module == "__future__":
            return node
        if node.level or node.module is None:
            self.refuse(node, "a snippet is in no package", "Import by the full name.", "relative-import")
            return node
        statements = []
        for alias in node.names:
            if alias.name == "*":
                self.refuse(node, "import * hides which names come in", "Name what you need.", "import-star")
                continue
            name = alias.asname or alias.name
            self.check_name(alias, name)
            value = hook(alias, "import_from", ast.Constant(node.module), ast.Constant(alias.name))
            statements.append(bind(alias, name, value))
        return statements

    def _no_lazy_import(self, node: Any) -> None:
        if getattr(node, "is_lazy", 0):  # 3.15: resolved by a builtin, at the first use
            self.refuse(node, "lazy imports are not available in restricted code", "Import at once.")
