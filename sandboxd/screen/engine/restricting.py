"""The seam to layer 2: the tree that was checked is the tree that is compiled. Nothing is parsed a second time."""

from __future__ import annotations

import ast
from typing import Any

from .findings import Findings

MAX_PROGRAM_BYTES = 2 * 1024 * 1024


class Compiler:
    """The restricting compiler, or why this interpreter has none."""

    def __init__(self, compile_program: Any, reason: str) -> None:
        self._compile_program = compile_program
        self._reason = reason

    def compile(self, source: str, tree: ast.Module, found: Findings) -> bytes:
        """Return the program as marshal; where there is none, the reasons are findings."""
        if self._compile_program is None:
            message = (
                f"this policy restricts, and its interpreter has no restricting compiler ({self._reason})"
            )
            hint = "The policy's owner has to give it an environment of Python 3.11 or later."
            found.add("restrict-unavailable", message, hint=hint)
            return b""
        compiled = self._compile_program(source, tree)
        for rule, message, hint, where in compiled.refusals:
            if isinstance(where, ast.AST):
                found.add(rule, message, hint=hint, node=where)
            else:
                found.add(rule, message, hint=hint, span=where or (0, 0, 0, 0))
        if compiled.refusals:
            return b""
        program: bytes = compiled.program
        if len(program) > MAX_PROGRAM_BYTES:
            hint = "Split it into smaller snippets; put data into a file in /work."
            found.add("source-too-complex", "the compiled program is too large", hint=hint)
            return b""
        return program


def load_compiler() -> Compiler:
    """Import the restricting compiler: RestrictedPython 9 is for CPython 3.11 to 3.15."""
    try:
        from sandboxd.restrict import compile_program  # noqa: PLC0415  absent on an older interpreter
    except (ImportError, AttributeError, SyntaxError) as error:
        return Compiler(None, f"{type(error).__name__}: {error}")
    return Compiler(compile_program, "")
