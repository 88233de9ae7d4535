"""The ways to run a program, in the process that calls: plain CPython, and through one or both static layers."""

# ruff: noqa: BLE001  # whatever a program raises is its answer
from __future__ import annotations

import ast
import asyncio
import builtins
import contextlib
import datetime as dt
import sys
import types
import warnings
from typing import Any

from spies import OFFERED, Watch, loot, poisoned, state

from sandboxd.guest.cell import Interpreter
from sandboxd.guest.coroutines import CellLoop
from sandboxd.guest.restricted import facades
from sandboxd.guest.restricted.facades.tables import TABLE
from sandboxd.guest.restricted.restriction import Restriction
from sandboxd.restrict import compile_program
from sandboxd.screen.engine.analysis import analyse
from sandboxd.screen.engine.findings import Findings
from sandboxd.screen.engine.rules import Rules
from sandboxd.screen.engine.text import check_text

FILENAME = "<cell 1>"
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_COROUTINE = 0x80
_STATE: dict[str, Any] = {}


def prepare(form: dict[str, Any]) -> None:
    """Make the rules, and load every facade: an import that is heard later is then the program's own doing."""
    _STATE["rules"] = Rules(form)
    for name in sorted(facades.NAMES):
        with contextlib.suppress(ImportError):
            facades.load(name)
            real = sys.modules[name]
            OFFERED.update(id(getattr(real, member, None)) for member in TABLE[name].members.split())
    dt.datetime.strptime("1", "%d")  # noqa: DTZ007  # imports its C code's helper


def run(source: str, way: str) -> dict[str, Any]:
    """Run a program one way and report."""
    finals: list[Any] = []
    builtins.final_answer = finals.append  # type: ignore[attr-defined]
    warnings.simplefilter("ignore")
    report: dict[str, Any] = {"status": "ran"}
    if way == "plain":
        _report(report, lambda: _plain(source, _main()))
    elif way == "control":
        module = _main()
        _watched(report, module.__dict__, lambda: _plain(source, module))
    elif found := [] if way == "bare" else _findings(source):
        report = {
            "status": "refused",
            "refusals": [one["rule"] for one in found],
            "hints": [_told(one) for one in found],
        }
    elif way == "screened":
        _report(report, lambda: Interpreter(CellLoop()).run(source, FILENAME))
    else:
        _restricted(report, source)
    if finals:
        report["final"] = repr(finals[-1])
    return report


def _told(finding: dict[str, Any]) -> str:
    return f"{finding['line']}: {finding['rule']}: {finding['message']} {finding['hint']}"


def _restricted(report: dict[str, Any], source: str) -> None:
    """Compile as the screener does and run as the guest does, with every spy on."""
    try:
        tree = ast.parse(source, FILENAME)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        report.update(status="refused", refusals=["syntax-error"], hints=[str(error)])
        return
    compiled = compile_program(source, tree)
    if compiled.refusals:
        hints = [
            f"{getattr(at, 'lineno', at)}: {rule}: {message} {hint}"
            for rule, message, hint, at in compiled.refusals
        ]
        report.update(status="refused", refusals=[one[0] for one in compiled.refusals], hints=hints)
        return
    names: dict[str, Any] = {}
    session = Restriction("/nonexistent")
    session.prepare(names)
    parts = session.load(compiled.program, FILENAME)
    loop = CellLoop()
    _watched(report, names, lambda: _run_parts(parts, names, loop))


def _watched(report: dict[str, Any], names: dict[str, Any], call: Any) -> None:
    """Run with every spy on, and look at what the program left in its variables."""
    watch = Watch()
    before, known = state(), set(names)
    watch.begin()
    _report(report, call)
    watch.end()
    report["events"] = watch.events
    report["loot"] = loot((name, value) for name, value in names.items() if name not in known) + poisoned(
        before
    )


def _run_parts(parts: list[Any], names: dict[str, Any], loop: CellLoop) -> Any:
    async def steps() -> Any:
        value = None
        for part in parts:
            value = eval(part, names)
            if part.co_flags & _COROUTINE:
                value = await value
        return value

    if any(part.co_flags & _COROUTINE for part in parts):
        return loop.run(steps())
    value = None
    for part in parts:
        value = eval(part, names)
    return value


def _report(report: dict[str, Any], call: Any) -> None:
    try:
        value = call()
        report["value"] = None if value is None else repr(value)
    except BaseException as error:
        report["error"] = type(error).__name__
        report["message"] = _text(error)


def _text(error: BaseException) -> str:
    try:
        return str(error)[:500]
    except BaseException:
        return "?"


def _findings(source: str) -> list[dict[str, Any]]:
    """Return what stops a program, as the daemon sees it: text checks, then the engine."""
    rules = _STATE["rules"]
    found = Findings(source)
    check_text(source, rules.budgets, rules.text, found)
    worst = found.worst()[0] or analyse(source, rules)["findings"]
    return [one for one in worst if one["severity"] == "error"]


def _main() -> types.ModuleType:
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    return module


def _plain(source: str, module: types.ModuleType) -> Any:
    """Run a program as CPython does; the value of a last expression is its result."""
    tree = ast.parse(source, FILENAME)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    parts = [compile(tree, FILENAME, "exec", _AWAIT, dont_inherit=True)]
    if last is not None:
        parts.append(compile(ast.Expression(last.value), FILENAME, "eval", _AWAIT, dont_inherit=True))

    async def steps() -> Any:
        value = None
        for part in parts:
            value = eval(part, module.__dict__)
            if part.co_flags & _COROUTINE:
                value = await value
        return value

    if any(part.co_flags & _COROUTINE for part in parts):
        return asyncio.run(steps())
    value = None
    for part in parts:
        value = eval(part, module.__dict__)
    return value
