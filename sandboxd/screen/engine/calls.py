"""Builtins and calls: denied builtins, computed attribute names, classes made by calls, paths that no sandbox has."""

from __future__ import annotations

import ast
import builtins

from . import modules
from .findings import Findings, clip
from .inventory import Inventory, Use
from .names import report_attribute
from .rules import Rules
from .scopes import Scope

_BY_NAME = frozenset({"getattr", "setattr", "delattr", "hasattr"})
_BY_STRING = frozenset({"operator.attrgetter", "operator.methodcaller"})
_STRING_NAMES = frozenset({"attrgetter", "methodcaller"})
_METACLASSES = frozenset({"type", "abc.ABCMeta", "enum.EnumMeta", "enum.EnumType"})
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


def check(inventory: Inventory, rules: Rules, found: Findings) -> None:
    """Check calls, then every other use of what only a well-formed call may use."""
    vetted: set[int] = set()
    for call, scope in inventory.calls:
        names = _names_of(call.func, scope, rules)
        if names & _BY_NAME:
            _check_by_name(call, vetted, rules, found)
        elif names & _BY_STRING:
            _check_by_string(call, vetted, rules, found)
        elif "type" in names:
            _check_type(call, found)
        if names & _OPENERS:
            _check_path(call, found)
    for use in inventory.uses:
        _check_use(use, vetted, rules, found)
    for node, scope in inventory.classes:
        _check_metaclass(node, scope, rules, found)


def _names_of(func: ast.expr, scope: Scope, rules: Rules) -> set[str]:
    """Return what a call may call: a builtin's name, or dotted paths of modules' members."""
    links: list[str] = []
    while isinstance(func, ast.Attribute):
        links.append(func.attr)
        func = func.value
    if not isinstance(func, ast.Name):
        return set()
    tail = links[::-1]
    paths = {".".join([path.dotted, *tail]) for path in modules.paths_of(scope, func.id, rules)}
    return paths if tail else paths | {func.id}


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
    if not use.attributes and name in _BY_NAME:
        _report_dynamic(name, node, rules, found)
    elif not use.attributes or use.attributes[-1].attr in _STRING_NAMES:
        full = _names_of(node, use.scope, rules) & _BY_STRING
        if full:
            _report_dynamic(min(full), node, rules, found)


def _check_by_name(call: ast.Call, vetted: set[int], rules: Rules, found: Findings) -> None:
    """`getattr(x, "name")` is `x.name` in other words; anything else hides which attribute it is."""
    vetted.add(id(call.func))
    name = call.args[1] if len(call.args) > 1 else None
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        _report_dynamic(_callee(call), call, rules, found)
        return
    rule = rules.attribute_verdict(name.value)
    writes = _callee(call) in {"setattr", "delattr"} and name.value.endswith("__")
    if rule or writes:
        report_attribute(rule or "attribute-not-allowed", name.value, name, found)


def _check_by_string(call: ast.Call, vetted: set[int], rules: Rules, found: Findings) -> None:
    vetted.add(id(call.func))
    names = call.args[:1] if _callee(call) == "methodcaller" else call.args
    for name in names:
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            _report_dynamic(_callee(call), call, rules, found)
            continue
        for link in name.value.split("."):
            rule = rules.attribute_verdict(link)
            if rule:
                report_attribute(rule, link, name, found)


def _callee(call: ast.Call) -> str:
    func = call.func
    return func.id if isinstance(func, ast.Name) else getattr(func, "attr", "")


def _report_dynamic(name: str, node: ast.AST, rules: Rules, found: Findings) -> None:
    message = f"{clip(name)} with a computed attribute name"
    hint = "Use a constant name, a dict, or a function for each case."
    found.add("dynamic-attribute", message, node=node, hint=hint, symbol=name, action=rules.dynamic)


def _check_type(call: ast.Call, found: Findings) -> None:
    if len(call.args) > 1 or call.keywords or any(isinstance(one, ast.Starred) for one in call.args):
        hint = "Write a class statement."
        found.add("dynamic-class", "type() with more than one argument", node=call, hint=hint, symbol="type")


def _check_metaclass(node: ast.ClassDef, scope: Scope, rules: Rules, found: Findings) -> None:
    for keyword in node.keywords:
        value = keyword.value
        if keyword.arg == "metaclass" and not _is_metaclass(value, scope, rules):
            message = "this metaclass is not allowed"
            hint = "Use ABCMeta, EnumMeta, or a class of your own that derives from type."
            found.add("metaclass-not-allowed", message, node=value, hint=hint)


def _is_metaclass(value: ast.expr, scope: Scope, rules: Rules) -> bool:
    if not isinstance(value, (ast.Name, ast.Attribute)):
        return False
    names = _names_of(value, scope, rules)
    if names & _METACLASSES:
        return True
    return isinstance(value, ast.Name) and value.id not in _BUILTINS


def _check_path(call: ast.Call, found: Findings) -> None:
    path = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    if isinstance(path, str) and path not in _PRESENT and (path + "/").startswith(_ABSENT):
        message = f"{clip(path)!r} does not exist in a sandbox"
        hint = "Files are below /work (also as relative paths) and /tmp."
        found.add("path-outside-sandbox", message, node=call.args[0], hint=hint, symbol=path)
