"""`match`: patterns read attributes by themselves, where no hook can stand, so what they may name is decided here."""

from __future__ import annotations

import ast
from typing import Any

from .names import Kind, kind_of
from .refusals import Checker


class PatternChecker(Checker):
    """Accepts the patterns whose reads are all of plain names."""

    def _kept_pattern(self, node: Any) -> Any:
        return self.node_contents_visit(node)

    visit_Match = visit_match_case = visit_MatchSequence = visit_MatchOr = _kept_pattern  # noqa: N815
    visit_MatchSingleton = _kept_pattern  # noqa: N815

    def visit_MatchAs(self, node: Any) -> Any:
        """Check the name that a capture binds."""
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    visit_MatchStar = visit_MatchAs  # noqa: N815

    def visit_MatchMapping(self, node: ast.MatchMapping) -> Any:
        """Check the keys, which are values, and the name that binds the rest."""
        self.check_name(node, node.rest)
        for key in node.keys:
            self._check_value(key)
        node.patterns = self.visit_all(node.patterns)
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> Any:
        """Check a dotted name; it cannot become a call, so it must not need one."""
        self._check_value(node.value)
        return node

    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        """Check the class's name and the attributes that keywords read (`case AttributeError(obj=x)`).

        What positional patterns read stands in the class's `__match_args__`; the builder of classes checks that.
        """
        self._check_value(node.cls)
        for name in node.kwd_attrs:
            if kind_of(self.mangle(name)) is not Kind.PLAIN:
                hint = "Capture the object and read the attribute in the case's body."
                self.refuse(node, f"a pattern cannot read {name[:80]!r} in restricted code", hint)
        node.patterns = self.visit_all(node.patterns)
        node.kwd_patterns = self.visit_all(node.kwd_patterns)
        return node

    def _check_value(self, node: ast.expr) -> None:
        while isinstance(node, ast.Attribute):
            if kind_of(self.mangle(node.attr)) is not Kind.PLAIN:
                hint = "Give the value a name of its own before the match."
                self.refuse(node, f"a pattern cannot read {node.attr[:80]!r} in restricted code", hint)
            node = node.value
        self.visit(node)

    def _check_match_args(self, statement: ast.stmt) -> None:
        """Let a class name its positional attributes by literals alone: anything else could name any attribute."""
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            return
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if not any(isinstance(target, ast.Name) and target.id == "__match_args__" for target in targets):
            return
        self.pattern_names.update(id(target) for target in targets)
        names = statement.value.elts if isinstance(statement.value, ast.Tuple) else [None]
        if not all(_is_plain(name) for name in names):
            hint = "Write a tuple of plain attribute names."
            self.refuse(statement, "__match_args__ must be a tuple of plain names in restricted code", hint)


def _is_plain(node: ast.expr | None) -> bool:
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and kind_of(node.value) is Kind.PLAIN
    )
