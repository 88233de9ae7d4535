"""Format strings: `"{0.__class__}".format(x)` walks attributes by text, in C, where no attribute node stands."""

from __future__ import annotations

import ast
import re

from .findings import Findings, clip
from .inventory import Inventory
from .rules import Rules
from .scopes import Scope

# A replacement field with at least one attribute or index: the name, then `.attribute` and `[index]` links.
_FIELD = re.compile(r"\{[^{}\[\].!:]{0,200}((?:\.[^{}.\[\]!:]{1,200}|\[[^\]{}]{0,200}\]){1,50})")
_LINK = re.compile(r"\.([^{}.\[\]!:]+)")


def check(inventory: Inventory, rules: Rules, found: Findings) -> None:
    """Check the fields of every string, and that templates are strings that were checked."""
    for constant in inventory.constants:
        if isinstance(constant.value, str) and "{" in constant.value and "." in constant.value:
            _check_fields(constant, constant.value, rules, found)
    for node, scope in inventory.templates:
        if not _is_constant(node.value, scope):
            message = f"str.{node.attr} on a template that is not a constant"
            hint = 'Use an f-string, or write the template out: "{} {}".format(a, b).'
            found.add("dynamic-format", message, node=node, hint=hint, symbol=node.attr, action=rules.format)


def _check_fields(node: ast.Constant, text: str, rules: Rules, found: Findings) -> None:
    for field in _FIELD.finditer(text):
        for link in _LINK.findall(field[1]):
            name = link.strip()
            if rules.attribute_verdict(name):
                message = f"this format string reaches attribute {clip(name)!r}"
                hint = "Pass the value itself to the format string."
                found.add("format-traversal", message, node=node, hint=hint, symbol=name)


def _is_constant(template: ast.expr, scope: Scope) -> bool:
    """Say whether a template's text stands in the source, where `_check_fields` saw it."""
    if isinstance(template, ast.Constant):
        return True
    if not isinstance(template, ast.Name):
        return False
    binding = scope.resolve(template.id)
    if binding is None:
        return False
    return binding.constant and not (binding.other or binding.modules or binding.exception)
