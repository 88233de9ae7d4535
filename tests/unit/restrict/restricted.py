"""Runs one text as plain Python and through the compiler and the guards, in this process."""

from __future__ import annotations

import ast
import contextlib
import io
from typing import Any

from sandboxd.guest.restricted.program import run_program
from sandboxd.restrict import Compiled, compile_program

Ran = tuple[str, str]
"""What was printed, and the repr of the value or of the exception."""


def compiled(source: str) -> Compiled:
    return compile_program(source, ast.parse(source))


def refused(source: str) -> list[tuple[str, int, int]]:
    """Give rule, line and column of each refusal."""
    found = compiled(source)
    assert not found.program or not found.refusals
    return [(one.rule, *place(one.where)) for one in found.refusals]


def place(where: Any) -> tuple[int, int]:
    return (where.lineno, where.col_offset + 1) if isinstance(where, ast.AST) else where[:2]


def plainly(source: str) -> Ran:
    names: dict[str, Any] = {"__name__": "__main__"}
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None

    def run() -> Any:
        exec(compile(tree, "<snippet>", "exec", dont_inherit=True), names)
        if last is None:
            return None
        return eval(compile(ast.Expression(last.value), "<snippet>", "eval", dont_inherit=True), names)

    return _told(run)


def guarded(source: str, names: dict[str, Any] | None = None) -> Ran:
    found = compiled(source)
    assert not found.refusals, found.refusals
    return _told(lambda: run_program(found.program, {} if names is None else names))


def _told(run: Any) -> Ran:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            value = repr(run())
        except Exception as error:  # noqa: BLE001
            value = f"{type(error).__name__}: {error}"
    return printed.getvalue(), value
