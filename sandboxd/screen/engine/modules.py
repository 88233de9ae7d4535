"""Modules: what may be imported, what of it may be used, and by which way it may be reached.

A session's snippets share their names, and the screen sees one snippet. So a name that is bound in none of the text is
taken for the module of that name where an earlier snippet could have imported it, and a module of which only members are
allowed keeps its own name.
"""

from __future__ import annotations

import ast
import sys
from typing import NamedTuple

from .findings import Findings, clip
from .inventory import Inventory, Use
from .rules import Rules
from .scopes import Scope

# Reached through any other module (`pandas.io.common.os`), these are what a filter on imports keeps out.
_POWERFUL = frozenset(
    {
        "os",
        "sys",
        "subprocess",
        "builtins",
        "bltns",
        "importlib",
        "ctypes",
        "socket",
        "shutil",
        "pickle",
        "marshal",
        "gc",
        "inspect",
        "runpy",
        "posix",
        "pty",
        "multiprocessing",
        "threading",
        "stdlib_re",
    }
)
_STDLIB = frozenset(getattr(sys, "stdlib_module_names", ()))
_NETWORK = "There is no network here; work with files in /work."
_PROGRAMS = "Programs cannot be started here; do it in Python."
_HINTS = {
    **dict.fromkeys(
        ("requests", "httpx", "aiohttp", "socket", "urllib3", "http", "ftplib", "smtplib", "ssl"), _NETWORK
    ),
    **dict.fromkeys(("urllib", "urllib.request", "websockets", "selenium", "boto3", "telnetlib"), _NETWORK),
    **dict.fromkeys(
        ("subprocess", "pty", "os.system", "os.popen", "os.exec", "os.fork", "os.spawnl", "sh"), _PROGRAMS
    ),
    **dict.fromkeys(("pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"), "Use json or csv."),
    "importlib": "Use an import statement.",
    "pip": "Nothing can be installed here.",
    "bs4": "Use html.parser or xml.etree.ElementTree.",
    "yaml": "Use json or tomllib.",
    "string.Formatter": "Use an f-string.",
    "sys.stdout": "Use contextlib.redirect_stdout().",
    "sys.stderr": "Use contextlib.redirect_stderr().",
    "dataclasses.make_dataclass": "Write the class out.",
}


class Path(NamedTuple):
    """What a name may stand for: a dotted path, and how that is known.

    `kind` is "module" (an import statement says so), "member" (`from m import x`), or "guess": the name of an allowed
    module, bound nowhere in this text, so it may be that module or a variable of an earlier snippet.
    """

    dotted: str
    kind: str


def check(inventory: Inventory, rules: Rules, found: Findings) -> None:
    """Check import statements, and every use of a name that may be a module."""
    for node, scope in inventory.imports:
        if scope.kind == "class":
            hint = "Import at the top of the snippet."
            found.add("module-as-value", "an import cannot stand in a class body", node=node, hint=hint)
        if isinstance(node, ast.Import):
            for alias in node.names:
                _check_import(alias, rules, found)
        else:
            _check_import_from(node, rules, found)
    for use in inventory.uses:
        paths = paths_of(use.scope, use.name.id, rules)
        for path in paths:
            _check_use(use, path, rules, found)
        if not paths and use.attributes and use.scope.resolve(use.name.id) is None:
            _check_unknown(use, found)
    _check_writes(inventory, rules, found)


def paths_of(scope: Scope, name: str, rules: Rules) -> list[Path]:
    """Return what a name may stand for, as far as modules go."""
    binding = scope.resolve(name)
    if binding is not None:
        return [Path(dotted, "module" if surely else "member") for dotted, surely in binding.modules]
    if rules.modules.module_allowed(name):
        return [Path(name, "guess")]
    return [Path(name, "module")] if rules.modules.leads_to_members(name) else []


def _check_import(alias: ast.alias, rules: Rules, found: Findings) -> None:
    path = alias.name
    if rules.modules.module_allowed(path):
        return
    if not rules.modules.leads_to_members(path):
        _refuse_import(path, alias, rules, found)
    elif alias.asname and alias.asname != path:
        _refuse_renaming(path, alias, found)


def _check_import_from(node: ast.ImportFrom, rules: Rules, found: Findings) -> None:
    if node.level:
        hint = "Name the module in full."
        found.add("relative-import", "relative imports are not allowed", node=node, hint=hint)
        return
    module = node.module or ""
    known = rules.modules.module_allowed(module) or rules.modules.leads_to_members(module)
    if not known:
        _refuse_import(module, node, rules, found)
        return
    for alias in node.names:
        path = f"{module}.{alias.name}"
        if alias.name == "*":
            message = f"'from {clip(module)} import *' hides which names come in"
            action = rules.star if rules.modules.wholly_allowed(module) else "deny"
            found.add(
                "import-star", message, node=alias, hint="Name what you need.", symbol=module, action=action
            )
        elif rules.modules.leads_to_members(path) and not rules.modules.member_allowed(path):
            if alias.asname and alias.asname != alias.name:
                _refuse_renaming(path, alias, found)
        else:
            _check_member(module, [alias.name], alias, rules, found, module=True)


def _check_use(use: Use, path: Path, rules: Rules, found: Findings) -> None:
    if not _import_was_allowed(path, rules):
        return  # the import statement has its finding; its uses would only repeat it
    names = [link.attr for link in use.attributes]
    full = ".".join([path.dotted, *names])
    if path.kind == "module" and not names:
        _refuse_value(use, full, found)
    elif rules.modules.is_module(full):
        if path.kind != "guess" or names:
            _refuse_value(use, full, found)
    elif names:
        _check_member(path.dotted, names, use.attributes[-1], rules, found, module=path.kind != "member")


def _check_unknown(use: Use, found: Findings) -> None:
    """A name from an earlier snippet may be a module under any name: only the names that matter most are looked for."""
    for link in use.attributes:
        if link.attr in _POWERFUL:
            symbol = f"{use.name.id}.{link.attr}"
            message = f"{clip(symbol)!r} may be a module that another one uses for itself"
            hint = f"Import {link.attr} itself, where the policy allows it; or rename the attribute."
            found.add("borrowed-module", message, node=link, hint=hint, symbol=symbol)
            return


def _import_was_allowed(path: Path, rules: Rules) -> bool:
    module = path.dotted.rpartition(".")[0] if path.kind == "member" else path.dotted
    return rules.modules.module_allowed(module) or rules.modules.leads_to_members(module)


def _refuse_value(use: Use, path: str, found: Findings) -> None:
    message = f"module {clip(path)!r} cannot be passed around as a value"
    hint = f"Use it as {clip(path)}.name; for another name write 'import … as …'; or rename your variable."
    found.add("module-as-value", message, node=use.name, hint=hint, symbol=path)


def _check_member(
    path: str, names: list[str], node: ast.AST, rules: Rules, found: Findings, *, module: bool
) -> None:
    """Walk from a module to what is used of it; the first thing wrong is the finding."""
    parent = path
    for position, name in enumerate(names):
        full = f"{parent}.{name}"
        here = rules.modules.is_module(parent) or (module and not position)
        if not rules.modules.is_listed(full) and _is_borrowed(parent, name, module=here):
            message = f"{clip(full)!r} is a module that {clip(parent)!r} uses for itself"
            hint = f"Import {clip(name)} itself, where the policy allows it."
            found.add("borrowed-module", message, node=node, hint=hint, symbol=full)
            return
        if module and name.startswith("_") and not name.endswith("__"):
            message = f"{clip(full)!r} is private to its module"
            found.add("private-member", message, node=node, hint="Use its public interface.", symbol=full)
            return
        parent = full
    if not rules.modules.member_allowed(parent) and not rules.modules.leads_to_members(parent):
        _refuse_member(parent, node, rules, found)


def _is_borrowed(parent: str, name: str, *, module: bool) -> bool:
    if name in _POWERFUL:
        return True
    if not module:
        return False
    root, last = parent.partition(".")[0], parent.rpartition(".")[2]
    return root in _STDLIB and name in _STDLIB and name != last


def _check_writes(inventory: Inventory, rules: Rules, found: Findings) -> None:
    """`math.pi = 3` holds for every later snippet, and for the library's own code; so does `JSONEncoder.default = f`."""
    changed = {id(call.args[0]) for call, _ in inventory.calls if call.args and _is_setter(call.func)}
    for use in inventory.uses:
        node = use.attributes[-1] if use.attributes else use.name
        if use.attributes and type(use.attributes[-1].ctx) is not ast.Load:
            _check_write(use, node, -1, rules, found)
        elif changed and id(node) in changed:
            _check_write(use, node, len(use.attributes), rules, found)


def _check_write(use: Use, node: ast.AST, owner_ends: int, rules: Rules, found: Findings) -> None:
    names = [link.attr for link in use.attributes]
    owner = names[:owner_ends]
    for path in paths_of(use.scope, use.name.id, rules):
        if _belongs_to_a_module(".".join([path.dotted, *owner]), path, owner, rules):
            full = ".".join([path.dotted, *names])
            hint = _HINTS.get(full, "Use a variable or a class of your own.")
            found.add("module-changed", f"this changes {clip(full)!r}", node=node, hint=hint, symbol=full)


def _is_setter(func: ast.expr) -> bool:
    return isinstance(func, ast.Name) and func.id in {"setattr", "delattr"}


def _belongs_to_a_module(parent: str, path: Path, owner: list[str], rules: Rules) -> bool:
    """Say whether what is written to is a module, or of one: of the standard library all, of others what is a module.

    pandas and matplotlib take their options by such assignments.
    """
    if path.kind == "module" and not owner:
        return True
    return path.kind != "guess" and (parent.partition(".")[0] in _STDLIB or rules.modules.is_module(parent))


def _refuse_import(path: str, node: ast.AST, rules: Rules, found: Findings) -> None:
    other = rules.elsewhere_of(path) if rules.restricted else ""
    if other:
        # Not "not allowed": there is a policy for it, and a policy that restricts may route there.
        message = f"the restricting layer of policy {rules.policy} cannot guard module {clip(path)!r}"
        hint = f"It runs in a jail alone: use policy {other}."
        found.add("native-module", message, node=node, hint=hint, symbol=path)
        return
    message = f"module {clip(path)!r} is not allowed by policy {rules.policy}"
    found.add("import-not-allowed", message, node=node, hint=_hint(path, rules), symbol=path)


def _refuse_member(path: str, node: ast.AST, rules: Rules, found: Findings) -> None:
    message = f"{clip(path)!r} is not allowed by policy {rules.policy}"
    found.add("member-not-allowed", message, node=node, hint=_hint(path, rules), symbol=path)


def _refuse_renaming(path: str, node: ast.AST, found: Findings) -> None:
    message = f"only members of {clip(path)!r} are allowed, so it keeps its own name"
    hint = f"Write 'import {clip(path)}', or 'from {clip(path)} import …'."
    found.add("module-renamed", message, node=node, hint=hint, symbol=path)


def _hint(path: str, rules: Rules) -> str:
    """Say where it may run, or what to do instead."""
    prefix = path
    while prefix:
        if prefix in rules.elsewhere:
            missing = (
                ""
                if prefix.partition(".")[0] in _STDLIB
                else f"{prefix} is not in environment {rules.environment}; "
            )
            return f"{missing}use policy {rules.elsewhere[prefix]}."
        if prefix in _HINTS:
            return _HINTS[prefix]
        prefix = prefix.rpartition(".")[0]
    return f"Do it with the modules that policy {rules.policy} allows."
