"""Format strings: `"{0.__class__}".format(x)` walks attributes by text, in C, where no attribute node stands."""

from __future__ import annotations

import _string  # type: ignore[import-not-found]
import ast
import re
from collections.abc import Iterator
from typing import Any

from .findings import Findings, clip
from .inventory import Inventory
from .names import report_attribute, report_format
from .rules import Rules
from .scopes import Scope

# Where computed attribute names are let through, the text still shows what most of them are computed from.
_TELLING = frozenset(
    [
        "__base__",
        "__bases__",
        "__builtins__",
        "__class__",
        "__closure__",
        "__code__",
        "__dict__",
        "__func__",
        "__getattribute__",
        "__globals__",
        "__import__",
        "__loader__",
        "__mro__",
        "__reduce__",
        "__reduce_ex__",
        "__self__",
        "__spec__",
        "__subclasses__",
        "__traceback__",
        "__wrapped__",
    ]
)
_MAX_NESTING = 2  # str.format itself allows no more
# A replacement field with at least one attribute or index: the name, then `.attribute` and `[index]` links. For texts that
# str.format would give up on: pieces of a template.
_FIELD = re.compile(r"\{[^{}\[\].!:]{0,200}((?:\.[^{}.\[\]!:]{1,200}|\[[^\]{}]{0,200}\]){1,50})")
_LINK = re.compile(r"\.([^{}.\[\]!:]+)")


def check(inventory: Inventory, rules: Rules, found: Findings) -> None:
    """Check the fields of every string, and that templates are strings that were checked."""
    for constant in inventory.constants:
        if isinstance(constant.value, str) and "{" in constant.value and "." in constant.value:
            _check_fields(constant, constant.value, rules, found)
    if rules.dynamic != "deny" and found.has("dynamic-attribute"):
        for constant in inventory.constants:
            if constant.value in _TELLING and (rule := rules.attribute_verdict(str(constant.value))):
                report_attribute(rule, str(constant.value), constant, found)
    for node, scope in inventory.templates:
        if not is_constant_template(node.value, scope):
            report_format(node, node.attr, rules, found)


def _check_fields(node: ast.Constant, text: str, rules: Rules, found: Findings) -> None:
    for name in _links(text):
        if rules.attribute_verdict(name):
            message = f"this format string reaches attribute {clip(name)!r}"
            hint = "Pass the value itself to the format string."
            found.add("format-traversal", message, node=node, hint=hint, symbol=name)


def _links(text: str) -> Iterator[str]:
    try:
        yield from _links_as_python_reads(text, 0)
    except ValueError:
        for field in _FIELD.finditer(text):
            yield from (link.strip() for link in _LINK.findall(field[1]))


def _links_as_python_reads(text: str, nesting: int) -> Iterator[str]:
    """Return attribute names by CPython's own parser: `{0[}].__class__}` is a field that a pattern of ours would miss.

    Raises:
        ValueError: str.format would fail here too, after what was read until now.
    """
    for _, field, spec, _ in _string.formatter_parser(text):
        if field:
            rest: Any = _string.formatter_field_name_split(field)[1]
            yield from (str(link) for is_attribute, link in rest if is_attribute)
        if spec and "{" in spec and nesting < _MAX_NESTING:
            yield from _links_as_python_reads(spec, nesting + 1)


def is_constant_template(template: ast.expr, scope: Scope) -> bool:
    """Say whether a template's text stands in the source, where `_check_fields` saw it."""
    if isinstance(template, ast.Constant):
        return True
    if not isinstance(template, ast.Name):
        return False
    binding = scope.resolve(template.id)
    if binding is None:
        return False
    return binding.constant and not (binding.other or binding.modules or binding.exception)
