"""The nodes that take the place of the user's. Each keeps the user's line and column."""

from __future__ import annotations

import ast
from string import Formatter
from typing import TypeVar

from .names import FORMATS

Node = TypeVar("Node", bound=ast.AST)


def is_class_name(node: ast.Attribute) -> bool:
    """Tell `x.__class__.__name__`."""
    return (
        node.attr in ("__name__", "__qualname__")
        and isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "__class__"
    )


def last_name(node: ast.expr) -> str:
    """Give the name at the end of a dotted one."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def hook(place: ast.AST, name: str, *arguments: ast.expr) -> ast.Call:
    """Call a guard in the place of a node."""
    for argument in arguments:
        if isinstance(argument, ast.Constant):
            at(place, argument)
    return at(place, ast.Call(at(place, ast.Name(f"guard.{name}", ast.Load())), list(arguments), []))


def owner(place: ast.expr, writer: str, *arguments: ast.expr) -> ast.expr:
    """Give the object of a store, checked."""
    known = "writable" if writer == "write" else "open"
    return unless_known(place, place, known, place, hook(place, writer, *arguments))


def unless_known(place: ast.AST, value: ast.expr, known: str, plain: ast.expr, guarded: ast.expr) -> ast.expr:
    """Save the guard's call for an object of a class that it let through before: most accesses are of `self`.

    Only of a bare name, which can be read twice. Its class is asked of the object's head, not of its `__class__`.
    """
    if not isinstance(value, ast.Name):
        return guarded
    kind = hook(place, "type", at(place, ast.Name(value.id, ast.Load())))
    names = at(place, ast.Name(f"guard.{known}", ast.Load()))
    return at(place, ast.IfExp(at(place, ast.Compare(kind, [ast.In()], [names])), plain, guarded))


def is_harmless_template(function: ast.Attribute) -> bool:
    """Tell `"…{0:>5}…".format`, whose fields name arguments and items alone."""
    text = function.value
    if function.attr not in FORMATS or not isinstance(text, ast.Constant) or type(text.value) is not str:
        return False
    return _names_no_attribute(text.value)


def _names_no_attribute(template: str) -> bool:
    try:
        return all(
            field is None or ("." not in field and (not spec or _names_no_attribute(spec)))
            for _, field, spec, _ in Formatter().parse(template)
        )
    except ValueError:  # it raises at run time, after the links before the error
        return False


def bind(place: ast.alias, name: str, value: ast.expr) -> ast.Assign:
    """Assign a value in the place of an import."""
    return at(place, ast.Assign([at(place, ast.Name(name, ast.Store()))], value))


def at(place: ast.AST, node: Node) -> Node:
    """Give a new node the place of the user's; not those below it, which have theirs."""
    return ast.copy_location(node, place)
