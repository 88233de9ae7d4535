"""Collects what the rules found, with positions that people and models count: 1-based lines and code points."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .catalogue import RULES

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping

    Span = tuple[int, int, int, int]  # line, column, end line, end column; 1-based code points

MAX_FINDINGS = 50
# Of each severity; a source with more is only made to be long. Counted apart, so that warnings cannot crowd out an error.
_MAX_COLLECTED = 500
_MAX_TEXT = 300
_MAX_SYMBOL = 100
_LINE_ENDS = re.compile(r"\r\n|\r|\n")  # what the tokenizer splits on; str.splitlines splits on more
_ORDER = {"error": 0, "warning": 1, "note": 2}
_WORST = {"deny": 0, "route": 1, "warn": 2, "audit": 3}
SEVERITIES = {"deny": "error", "route": "error", "warn": "warning", "audit": "note"}


def clip(text: str, limit: int = _MAX_SYMBOL) -> str:
    """Bound a piece of a hostile source before it gets into a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Findings:
    """Findings on one source text, bounded and without repeats."""

    def __init__(self, source: str, actions: Mapping[str, str] | None = None) -> None:
        """Collect for one source.

        Args:
            source: the text.
            actions: what the policy makes of a rule, by the rule's name; of the others each caller says it.
        """
        self._source = source
        self._actions = actions or {}
        self._lines: list[str] | None = None
        self._found: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._counts = dict.fromkeys(_ORDER, 0)
        self.overflow = False

    def __len__(self) -> int:
        return len(self._found)

    def has(self, rule: str) -> bool:
        """Say whether a rule was broken, whatever the policy makes of it."""
        return any(one["rule"] == rule for one in self._found.values())

    def add(
        self,
        rule: str,
        message: str,
        *,
        node: ast.AST | None = None,
        span: Span = (0, 0, 0, 0),
        hint: str = "",
        symbol: str = "",
        action: str = "deny",
    ) -> None:
        """Note one finding; `action` holds where the policy's table says nothing: deny, route, warn, audit or allow."""
        action = self._actions.get(rule, action)
        if action not in RULES[rule].actions:
            action = "deny"
        if action == "allow":
            return
        line, column, end_line, end_column = self.span(node) if node is not None else span
        key = (rule, line, column, symbol)
        if key in self._found:
            return
        severity = SEVERITIES[action]
        self._counts[severity] += 1
        if self._counts[severity] > _MAX_COLLECTED:
            self.overflow = True
            return
        self._found[key] = {
            "rule": rule,
            "rule_id": RULES[rule].rule_id,
            "severity": severity,
            "message": clip(message, _MAX_TEXT),
            "hint": clip(hint, _MAX_TEXT),
            "symbol": clip(symbol),
            "line": line,
            "column": column,
            "end_line": end_line,
            "end_column": end_column,
            "action": action,
        }

    def passes(self) -> bool:
        """Tell whether the text may run here: nothing denies it, nothing sends it elsewhere."""
        return not self._counts["error"]

    def span(self, node: ast.AST) -> Span:
        """Return where a node stands. `ast` counts columns in UTF-8 bytes."""
        line, end_line = getattr(node, "lineno", 0), getattr(node, "end_lineno", None) or 0
        if not line:
            return (0, 0, 0, 0)
        start = self.column(line, getattr(node, "col_offset", 0))
        return (line, start, end_line, self.column(end_line, getattr(node, "end_col_offset", None) or 0))

    def column(self, line: int, byte_offset: int) -> int:
        """Return the 1-based code-point column of a 0-based byte offset."""
        if self._lines is None:
            self._lines = _LINE_ENDS.split(self._source)
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        if text.isascii():
            return byte_offset + 1
        return len(text.encode("utf-8", "replace")[:byte_offset].decode("utf-8", "replace")) + 1

    def worst(self) -> tuple[list[dict[str, Any]], bool]:
        """Return at most MAX_FINDINGS, worst first and then in the order of the text, and whether more exist."""
        ordered = sorted(
            self._found.values(), key=lambda one: (_WORST[one["action"]], one["line"], one["column"])
        )
        return ordered[:MAX_FINDINGS], self.overflow or len(ordered) > MAX_FINDINGS
