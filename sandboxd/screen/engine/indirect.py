"""Attributes that strings name: getattr and its kin, the copiers of functools, logging's templates, methods of pandas."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from .findings import Findings, clip
from .names import report_attribute, report_format
from .rules import Rules
from .scopes import Scope
from .strings import is_constant_template

BY_NAME = frozenset({"getattr", "setattr", "delattr", "hasattr"})
BY_STRING = frozenset({"operator.attrgetter", "operator.methodcaller"})
# They copy attributes whose names they are told: `update_wrapper(C, f, ("__globals__",))`.
COPIERS = frozenset({"functools.update_wrapper", "functools.wraps"})
_SETTERS = frozenset({"__setattr__", "__delattr__"})
_COPIER_KEYWORDS = frozenset({"assigned", "updated"})
LOG_FORMATS = frozenset({"logging.Formatter", "logging.basicConfig"})
_BRACELESS = frozenset({"%", "$"})
# Methods of pandas that take a method's name, and those that take an expression.
_BY_METHOD_NAME = frozenset({"agg", "aggregate", "apply", "transform", "pipe"})
_EXPRESSIONS = frozenset({"query", "eval"})
_LINK = re.compile(r"\.\s*([A-Za-z_]\w*)")
_FORMATS = frozenset({"format", "format_map"})


def check_call(call: ast.Call, names: set[str], scope: Scope, rules: Rules, found: Findings) -> bool:
    """Check a call of what reads attributes by name; return whether the callee may stand here."""
    if names & BY_NAME:
        _check_by_name(call, scope, rules, found)
    elif names & BY_STRING:
        _check_by_string(call, rules, found)
    elif names & COPIERS:
        _check_copier(call, rules, found)
    elif names & LOG_FORMATS:
        _check_log_format(call, scope, rules, found)
    if isinstance(call.func, ast.Attribute):
        _check_method(call, call.func.attr, rules, found)
    return bool(names & (BY_NAME | BY_STRING | COPIERS))


def report_dynamic(name: str, node: ast.AST, rules: Rules, found: Findings) -> None:
    """Report an attribute's name that does not stand in the text."""
    message = f"{clip(name)} with a computed attribute name"
    hint = "Use a constant name, a dict, or a function for each case."
    found.add("dynamic-attribute", message, node=node, hint=hint, symbol=name, action=rules.dynamic)


def callee(call: ast.Call) -> str:
    """Return the last name of what is called, "" if it has none."""
    func = call.func
    return func.id if isinstance(func, ast.Name) else getattr(func, "attr", "")


def _check_by_name(call: ast.Call, scope: Scope, rules: Rules, found: Findings) -> None:
    """`getattr(x, "name")` is `x.name` in other words; anything else hides which attribute it is."""
    name = call.args[1] if len(call.args) > 1 else None
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        report_dynamic(callee(call), call, rules, found)
        return
    rule = rules.attribute_verdict(name.value)
    writes = callee(call) in {"setattr", "delattr"} and name.value.endswith("__")
    if rule or writes:
        report_attribute(rule or "attribute-not-allowed", name.value, name, found)
    elif name.value in _FORMATS and callee(call) == "getattr":
        report_format(call, name.value, rules, found)
    elif name.value == "obj" and isinstance(call.args[0], ast.Name):
        binding = scope.resolve(call.args[0].id)
        if binding is not None and binding.exception:
            _report_object(name, found)


def _check_by_string(call: ast.Call, rules: Rules, found: Findings) -> None:
    names = call.args[:1] if callee(call) == "methodcaller" else call.args
    for name in names:
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            report_dynamic(callee(call), call, rules, found)
            continue
        for link in name.value.split("."):
            rule = rules.attribute_verdict(link)
            if rule:
                report_attribute(rule, link, name, found)
            elif link in _FORMATS:
                report_format(call, link, rules, found)
            elif link == "obj":
                _report_object(name, found)


def _report_object(node: ast.AST, found: Findings) -> None:
    message = "an exception's 'obj' is not allowed"
    found.add("exception-object", message, node=node, hint="Use str(error).", symbol="obj")


def _check_copier(call: ast.Call, rules: Rules, found: Findings) -> None:
    named = [one.value for one in call.keywords if one.arg in _COPIER_KEYWORDS]
    for names in (*call.args[2 if callee(call) == "update_wrapper" else 1 :], *named):
        elements: Iterable[ast.expr] = names.elts if isinstance(names, (ast.Tuple, ast.List)) else (names,)
        for name in elements:
            if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
                report_dynamic(callee(call), name, rules, found)
            elif rule := rules.attribute_verdict(name.value):
                report_attribute(rule, name.value, name, found)


def _check_log_format(call: ast.Call, scope: Scope, rules: Rules, found: Findings) -> None:
    """`style="{"` makes logging call str.format on the template."""
    given: dict[str | None, ast.expr] = {one.arg: one.value for one in call.keywords}
    given.update(zip(("fmt", "datefmt", "style"), call.args, strict=False))
    style = given.get("style")
    if style is None or (isinstance(style, ast.Constant) and style.value in _BRACELESS):
        return
    template = given.get("fmt") or given.get("format")
    if template is not None and not is_constant_template(template, scope):
        report_format(template, "format", rules, found)


def _check_method(call: ast.Call, method: str, rules: Rules, found: Findings) -> None:
    if method in _SETTERS:
        for text, node in _strings(call.args[:2]):
            if text.endswith("__"):
                report_attribute("attribute-not-allowed", text, node, found)
    elif method in _BY_METHOD_NAME:
        first = call.args[0] if call.args else None
        for text, node in _strings(first.elts if isinstance(first, (ast.List, ast.Tuple)) else call.args[:1]):
            _check_links([text], node, rules, found)
    elif method in _EXPRESSIONS:
        for text, node in _strings(call.args[:1]):
            _check_links(_LINK.findall(text), node, rules, found)


def _strings(nodes: list[ast.expr]) -> list[tuple[str, ast.AST]]:
    constants = [node for node in nodes if isinstance(node, ast.Constant)]
    return [(node.value, node) for node in constants if isinstance(node.value, str)]


def _check_links(links: Iterable[str], node: ast.AST, rules: Rules, found: Findings) -> None:
    for link in links:
        if rule := rules.attribute_verdict(link):
            report_attribute(rule, link, node, found)
