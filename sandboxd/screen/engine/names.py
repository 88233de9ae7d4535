"""Names and attributes: dunders, introspection, the sandbox's own names, and every place that binds a name."""

from __future__ import annotations

import ast

from .findings import Findings, clip
from .inventory import Binder, Inventory
from .rules import Rules

# Readable without being bound; everything else that looks like this is Python's.
_READABLE = frozenset({"__name__", "__doc__", "__debug__"})
# Names that guards of a restricting layer are looked up by: binding one would shadow the guard.
RESERVED = frozenset(
    {
        "_getattr_",
        "_getitem_",
        "_getiter_",
        "_iter_unpack_sequence_",
        "_unpack_sequence_",
        "_write_",
        "_inplacevar_",
        "_apply_",
        "_print_",
        "_getaiter_",
    }
)
_HINTS = {
    "__class__": "Use type(x), isinstance(), or type(x).__name__.",
    "__dict__": "Name the attributes that you need, or use dataclasses.asdict().",
    "__file__": "A snippet is no file; paths are relative to /work.",
    "__builtins__": "Use the builtin by its own name.",
    "__import__": "Use an import statement.",
    "__bases__": "Use isinstance() or issubclass().",
    "__mro__": "Use isinstance() or issubclass().",
    "__del__": "Use a context manager or try/finally.",
    "__traceback__": "Use traceback.format_exc().",
    "__code__": "Code objects are not available here.",
}
_FORMATS = frozenset({"format", "format_map"})
_MATCH_ARGS = "__match_args__"
_DEFAULT_HINT = "Do it without special attributes."


def check(inventory: Inventory, rules: Rules, found: Findings) -> None:
    """Check names that are read, names that are bound, and attributes."""
    _check_reads(inventory, rules, found)
    for binder in inventory.binders:
        if "__" in binder.name or binder.name in RESERVED or binder.name in rules.builtins_deny:
            _check_binder(binder, rules, found)
            if binder.name == _MATCH_ARGS:
                _check_match_args(binder.node, inventory, rules, found)
        elif binder.scope is not None and binder.scope.kind == "class":
            # A dataclass makes patterns read what its fields are named after: `case C(frame)` is `x.gi_frame`.
            rule = rules.attribute_verdict(binder.name)
            if rule:
                report_attribute(rule, binder.name, binder.node, found)
    for node, taken in inventory.attributes:
        rule = rules.attribute_verdict(node.attr)
        if rule and not (node.attr == "__class__" and taken in {"__name__", "__qualname__"}):
            report_attribute(rule, node.attr, node, found)
        elif node.attr == _MATCH_ARGS and not isinstance(node.ctx, ast.Load):
            _report_match_args(node, rules, found)
    for pattern in inventory.patterns:
        _check_pattern(pattern, rules, found)


def report_format(node: ast.AST, name: str, rules: Rules, found: Findings) -> None:
    """Report str.format taken in a way that hides its template."""
    message = f"str.{name} on a template that is not a constant"
    hint = 'Use an f-string, or write the template out: "{} {}".format(a, b).'
    found.add("dynamic-format", message, node=node, hint=hint, symbol=name, action=rules.format)


def report_attribute(rule: str, name: str, node: ast.AST, found: Findings) -> None:
    """Report one attribute name."""
    hint = _HINTS.get(name, _DEFAULT_HINT)
    found.add(rule, f"attribute {clip(name)!r} is not allowed", node=node, hint=hint, symbol=name)


def _check_reads(inventory: Inventory, rules: Rules, found: Findings) -> None:
    for use in inventory.uses:
        name = use.name.id
        if (
            name.endswith("__")
            and name not in _READABLE
            and name not in rules.builtins_deny  # has its own finding
            and not _own_dunder(name, use.scope.resolve(name), rules)
        ):
            message = f"name {clip(name)!r} is not allowed"
            found.add(
                "reserved-name", message, node=use.name, hint=_HINTS.get(name, _DEFAULT_HINT), symbol=name
            )
        if name in RESERVED:
            _report_reserved(name, use.name, found)
        if use.attributes and use.attributes[0].attr == "obj":
            binding = use.scope.resolve(name)
            if binding is not None and binding.exception:
                message = "an exception's 'obj' is not allowed"
                found.add(
                    "exception-object", message, node=use.attributes[0], hint="Use str(error).", symbol="obj"
                )


def _own_dunder(name: str, binding: object, rules: Rules) -> bool:
    """Say whether it is the program's own `__version__` or the like."""
    return binding is not None and not rules.attribute_verdict(name)


def _check_binder(binder: Binder, rules: Rules, found: Findings) -> None:
    name, node = binder.name, binder.node
    if name in RESERVED:
        _report_reserved(name, node, found)
    elif name in rules.builtins_deny:
        # Also as a name of one's own: whether it then means the builtin cannot be told from the text alone.
        if not isinstance(node, ast.keyword):
            message = (
                f"{name!r} cannot be used as a name here: it is a builtin that policy {rules.policy} denies"
            )
            found.add("builtin-not-allowed", message, node=node, hint="Choose another name.", symbol=name)
    elif name.endswith("__") and rules.attribute_verdict(name):
        method = binder.scope is not None and binder.scope.kind == "class" and not isinstance(node, ast.Name)
        what = "method" if method else "name"
        message = f"{what} {clip(name)!r} is not allowed"
        found.add("reserved-name", message, node=node, hint=_HINTS.get(name, _DEFAULT_HINT), symbol=name)


def _report_reserved(name: str, node: ast.AST, found: Findings) -> None:
    message = f"name {name!r} belongs to the sandbox"
    found.add("reserved-name", message, node=node, hint="Choose another name.", symbol=name)


def _check_match_args(node: ast.AST, inventory: Inventory, rules: Rules, found: Findings) -> None:
    """Check the attributes that `case C(x)` reads by position: a class with a registered subclass reads any object's."""
    value = inventory.assigned.get(id(node))
    elements = value.elts if isinstance(value, (ast.Tuple, ast.List)) else None
    if elements is None:
        _report_match_args(node, rules, found)
        return
    for element in elements:
        if not (isinstance(element, ast.Constant) and isinstance(element.value, str)):
            _report_match_args(element, rules, found)
        elif element.value in _FORMATS:
            report_format(element, element.value, rules, found)
        elif rule := rules.attribute_verdict(element.value):
            report_attribute(rule, element.value, element, found)


def _report_match_args(node: ast.AST, rules: Rules, found: Findings) -> None:
    message = "__match_args__ with computed attribute names"
    hint = "Write a tuple of constant names in the class body, or use keyword patterns."
    found.add("dynamic-attribute", message, node=node, hint=hint, symbol=_MATCH_ARGS, action=rules.dynamic)


def _check_pattern(pattern: ast.AST, rules: Rules, found: Findings) -> None:
    """`case C(name=x)` reads an attribute like any other, and `case AttributeError(obj=x)` the object behind it."""
    for name in getattr(pattern, "kwd_attrs", ()):
        rule = rules.attribute_verdict(name)
        if rule:
            report_attribute(rule, name, pattern, found)
        elif name in _FORMATS:
            report_format(pattern, name, rules, found)
        elif name == "obj":
            message = "a pattern on 'obj' is not allowed"
            found.add(
                "exception-object", message, node=pattern, hint="Match on something else.", symbol="obj"
            )
