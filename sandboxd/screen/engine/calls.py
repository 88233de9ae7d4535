"""Builtins and calls: denied builtins, computed attribute names, classes made by calls, paths that no sandbox has."""

from __future__ import annotations

import ast
import builtins

from . import modules
from .findings import Findings, clip
from .indirect import (
    BY_NAME,
    BY_STRING,
    COPIERS,
    FIELD_MAKERS,
    LOG_FORMATS,
    callee,
    check_call,
    check_fields,
    report_dynamic,
)
from .inventory import Inventory, Use
from .rules import Rules
from .scopes import Scope

_STRING_NAMES = frozenset({"attrgetter", "methodcaller", "update_wrapper", "wraps"})
_TOLD_BY_NAME = BY_STRING | COPIERS
_METACLASSES = frozenset({"type", "abc.ABCMeta", "enum.EnumMeta", "enum.EnumType"})
# What makes or changes a class when it is taken from a metaclass: `type.__new__(type, "X", (), members)`.
_CLASS_MAKERS = frozenset({"__new__", "__init__", "__call__", "__setattr__", "__delattr__"})
_CLASS_ARGUMENTS = 3
_APPLIERS = frozenset({"map", "functools.partial"})
_ALLOW_PICKLE = 2  # its place among numpy.load's arguments
_BUILTINS = frozenset(dir(builtins))
# The jail has neither; said early, with a hint. Not a boundary: a computed path passes.
_ABSENT = ("/etc/", "/proc/", "/sys/", "/root/", "/home/", "/boot/", "/var/", "/run/", "/dev/")
_PRESENT = frozenset({"/dev/null", "/dev/zero", "/dev/urandom"})
_OPENERS = frozenset(
    {
        "open",
        "io.open",
        "io.FileIO",
        "io.open_code",
        "pathlib.Path",
        "os.listdir",
        "os.scandir",
        "os.walk",
        "os.stat",
        "os.remove",
        "os.unlink",
        "shutil.copy",
        "shutil.copyfile",
        "shutil.copytree",
        "shutil.move",
        "shutil.rmtree",
        "glob.glob",
        "glob.iglob",
        "numpy.fromfile",
        "numpy.loadtxt",
        "numpy.genfromtxt",
        "numpy.memmap",
        "numpy.load",
        "pandas.read_csv",
        "pandas.read_json",
        "pandas.read_excel",
        "pandas.read_table",
        "pandas.read_fwf",
    }
)
_NONE: set[str] = set()
_LAST = frozenset(
    name.rpartition(".")[2]
    for name in (*BY_STRING, *COPIERS, *LOG_FORMATS, *FIELD_MAKERS, *_METACLASSES, *_OPENERS, *_APPLIERS)
)
_WATCHED = BY_NAME | BY_STRING | COPIERS | LOG_FORMATS | _METACLASSES | _OPENERS | _APPLIERS


def check(inventory: Inventory, rules: Rules, found: Findings) -> None:
    """Check calls, then every other use of what only a well-formed call may use."""
    # A plain name that no import binds is that name and nothing else: most names of a text are told apart by one look.
    imported = _imported_names(inventory)
    vetted = _check_calls(inventory, imported, rules, found)
    watched = imported | BY_NAME | rules.builtins_deny
    for use in inventory.uses:
        if use.attributes or use.name.id in watched:
            _check_use(use, vetted, rules, found)
        if inventory.renamed and id(use.name) in inventory.renamed and use.scope.resolve("type") is None:
            _report_dynamic_class("type", use.name, found)
    _check_classes(inventory, rules, found)


def _check_calls(inventory: Inventory, imported: set[str], rules: Rules, found: Findings) -> set[int]:
    """Check all calls; return the ids of the callees that need no other look."""
    vetted: set[int] = set()
    positional = any(getattr(pattern, "patterns", ()) for pattern in inventory.patterns)
    for call, scope in inventory.calls:
        func = call.func
        for keyword in call.keywords:
            if keyword.arg == "allow_pickle":
                _check_pickle(keyword.value, found)
        if type(func) is ast.Name and func.id not in _WATCHED and func.id not in imported:
            continue
        names = _names_of(func, scope, rules)
        if check_call(call, names, scope, rules, found):
            vetted.add(id(func))
        if isinstance(func, ast.Call) or (names and names & _METACLASSES):
            _check_type(call, names, scope, found)
        if names and names & FIELD_MAKERS:
            check_fields(call, rules, found, positional=positional)
        if names:
            _check_arguments(call, names, scope, found)
    return vetted


def _check_arguments(call: ast.Call, names: set[str], scope: Scope, found: Findings) -> None:
    if names & _OPENERS:
        _check_path(call, found)
    if names & _APPLIERS:
        _check_applied(call, scope, found)
    if "numpy.load" in names and len(call.args) > _ALLOW_PICKLE:
        _check_pickle(call.args[_ALLOW_PICKLE], found)


def _imported_names(inventory: Inventory) -> set[str]:
    return {
        alias.asname or alias.name.partition(".")[0] for node, _ in inventory.imports for alias in node.names
    }


def _names_of(func: ast.expr, scope: Scope, rules: Rules) -> set[str]:
    """Return what a call may call: a builtin's name, or dotted paths of modules' members."""
    if type(func) is ast.Attribute and func.attr not in _LAST:
        return _NONE  # most calls: a method of an object that no module is; only its own name says anything
    if type(func) is ast.Name:
        return {func.id, *(path.dotted for path in modules.paths_of(scope, func.id, rules))}
    links: list[str] = []
    while isinstance(func, ast.Attribute):
        links.append(func.attr)
        func = func.value
    if not isinstance(func, ast.Name):
        return set()
    tail = links[::-1]
    return {".".join([path.dotted, *tail]) for path in modules.paths_of(scope, func.id, rules)}


def _check_use(use: Use, vetted: set[int], rules: Rules, found: Findings) -> None:
    name = use.name.id
    if name in rules.builtins_deny:
        message = f"builtin {name!r} is not allowed by policy {rules.policy}"
        hint = (
            "Use an import statement." if name == "__import__" else "Write the code out, or use plain data."
        )
        found.add("builtin-not-allowed", message, node=use.name, hint=hint, symbol=name)
    node = use.attributes[-1] if use.attributes else use.name
    if id(node) in vetted:
        return
    if len(use.attributes) and use.attributes[-1].attr in _CLASS_MAKERS:
        owner = use.attributes[-1].value
        if isinstance(owner, ast.expr) and _names_of(owner, use.scope, rules) & _METACLASSES:
            _report_dynamic_class(f"{name}.{use.attributes[-1].attr}", node, found)
    if not use.attributes and name in BY_NAME:
        report_dynamic(name, node, rules, found)
    elif not use.attributes or use.attributes[-1].attr in _STRING_NAMES:
        full = _names_of(node, use.scope, rules) & _TOLD_BY_NAME
        if full:
            report_dynamic(min(full), node, rules, found)


def _check_type(call: ast.Call, names: set[str], scope: Scope, found: Findings) -> None:
    """`type(a, b, c)` makes a class from values, as does `type(C)(a, b, c)`."""
    makes = len(call.args) > 1 or call.keywords or any(isinstance(one, ast.Starred) for one in call.args)
    if names & _METACLASSES:
        if makes:
            _report_dynamic_class(callee(call), call, found)
        return
    inner = call.func
    if (
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Name)
        and inner.func.id == "type"
        and scope.resolve("type") is None
        and len(call.args) == _CLASS_ARGUMENTS
        and isinstance(call.args[1], ast.Tuple)
    ):
        _report_dynamic_class("type", call, found)


def _report_dynamic_class(symbol: str, node: ast.AST, found: Findings) -> None:
    message = f"{clip(symbol)} makes or changes a class by a call"
    found.add("dynamic-class", message, node=node, hint="Write a class statement.", symbol=symbol)


def _check_classes(inventory: Inventory, rules: Rules, found: Findings) -> None:
    metaclasses: set[str] = set()
    bodies: set[int] = set()
    # In the order of the text a base stands before what derives from it; the pass collected them in another order.
    for node, scope, inner in sorted(inventory.classes, key=lambda one: one[0].lineno):
        _check_metaclass(node, scope, rules, found)
        parents = 0
        for base in node.bases:
            known = isinstance(base, ast.Name) and base.id in metaclasses
            if known or _names_of(base, scope, rules) & _METACLASSES:
                parents += 1
        if parents:
            metaclasses.add(node.name)
            bodies.add(id(inner))
        if parents > 1:
            # Enum's makes classes with members named by strings, ABCMeta's lets them stand for any object's class.
            _report_metaclass("two metaclasses cannot be mixed", node, found)
    if not bodies:
        return
    for binder in inventory.binders:
        if binder.name == "__new__" and id(binder.scope) in bodies:
            # It decides what members a class has, by strings: what a dataclass then runs as code, for one.
            message = "a metaclass cannot define __new__"
            hint = "Use __init_subclass__ or a class decorator."
            found.add("metaclass-not-allowed", message, node=binder.node, hint=hint, symbol="__new__")


def _check_metaclass(node: ast.ClassDef, scope: Scope, rules: Rules, found: Findings) -> None:
    for keyword in node.keywords:
        value = keyword.value
        if keyword.arg is None:
            _report_metaclass("what ** passes to a class may be a metaclass", value, found)
        elif keyword.arg == "metaclass" and not _is_metaclass(value, scope, rules):
            _report_metaclass("this metaclass is not allowed", value, found)


def _report_metaclass(message: str, node: ast.AST, found: Findings) -> None:
    hint = "Use ABCMeta, EnumMeta, or a class of your own that derives from type."
    found.add("metaclass-not-allowed", message, node=node, hint=hint)


def _is_metaclass(value: ast.expr, scope: Scope, rules: Rules) -> bool:
    if not isinstance(value, (ast.Name, ast.Attribute)):
        return False
    names = _names_of(value, scope, rules)
    if names & _METACLASSES:
        return True
    return isinstance(value, ast.Name) and value.id not in _BUILTINS


def _check_applied(call: ast.Call, scope: Scope, found: Findings) -> None:
    """`partial(type, name, bases)(members)` makes a class, as does map(type, names, bases, members)."""
    first = call.args[0] if len(call.args) >= _CLASS_ARGUMENTS else None
    if isinstance(first, ast.Name) and first.id == "type" and scope.resolve("type") is None:
        _report_dynamic_class("type", first, found)


def _check_pickle(value: ast.expr, found: Findings) -> None:
    if not (isinstance(value, ast.Constant) and not value.value):
        hint = "Leave it out; save plain arrays, CSV or JSON."
        message = "allow_pickle lets a file run code"
        found.add("unsafe-argument", message, node=value, hint=hint, symbol="allow_pickle")


def _check_path(call: ast.Call, found: Findings) -> None:
    path = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    if isinstance(path, str) and path not in _PRESENT and (path + "/").startswith(_ABSENT):
        message = f"{clip(path)!r} does not exist in a sandbox"
        hint = "Files are below /work (also as relative paths) and /tmp."
        found.add("path-outside-sandbox", message, node=call.args[0], hint=hint, symbol=path)
