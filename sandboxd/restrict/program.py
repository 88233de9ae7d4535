"""From a parsed source to the program that the guest runs, or to the reasons why there is none."""

from __future__ import annotations
import __future__

import ast
import marshal
import warnings
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import NamedTuple

from .names import CLASS_FACTS, ERRORS, LABELS, METHODS, READABLE, is_dunder
from .refusals import REFUSED, Refusal
from .transformer import Transformer

FORMAT = 1
"""The form of a program: a marshalled tuple of this number, the bytecode's magic number, and the code objects in order;
the value of the last one is the snippet's. The guest's `restricted/program.py` reads it."""

_ANNOTATIONS = __future__.annotations.compiler_flag
_FILENAME = "<snippet>"  # the guest puts the snippet's own name in its place
_GIVES_UP = (ValueError, RecursionError, MemoryError, OverflowError, SystemError)
# What the compiler writes by itself, and what the transformer lets pass.
_COMPILED = frozenset({"__annotations__", "__module__", "__qualname__", "__classcell__", "__static_attributes__",
                       "__firstlineno__", "__conditional_annotations__", "__annotate__", "__annotate_func__",
                       "__classdict__", "__classdictcell__", "__class__", "__debug__",
                       "__future__"})  # fmt: skip
_DUNDERS = METHODS | LABELS | ERRORS | READABLE | CLASS_FACTS | _COMPILED


class Compiled(NamedTuple):
    """A program, or why there is none."""

    program: bytes
    refusals: list[Refusal]


def compile_program(source: str, tree: ast.Module) -> Compiled:
    """Compile a source for the guards. Never raises, whatever the source.

    Args:
        source: the text, which tells a closing semicolon.
        tree: the text, parsed; it is changed in place.
    """
    try:
        with warnings.catch_warnings():
            # A doubtful `is` is the program's business, and must not become a refusal by `-W error`.
            warnings.simplefilter("ignore")
            return _compiled(source, tree)
    except SyntaxError as error:
        return _none(Refusal("syntax-error", str(error.msg), "Correct the syntax.", _span(error)))
    except _GIVES_UP as error:
        message = f"Python cannot compile this ({type(error).__name__})"
        hint = "Split it into smaller snippets with less nesting."
        return _none(Refusal("source-too-complex", message, hint, None))


def _compiled(source: str, tree: ast.Module) -> Compiled:
    transformer = Transformer(tree)
    transformer.visit(tree)
    if transformer.refusals:
        return Compiled(b"", transformer.refusals)
    last = _split(tree, source)
    flags = 0
    parts: list[CodeType] = []
    for part, mode in ((tree, "exec"), (last, "eval")):
        if part is not None and getattr(part, "body", None):
            # dont_inherit: this module's own __future__ imports would otherwise change what the snippet means.
            code = compile(part, _FILENAME, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | flags, dont_inherit=True)
            flags |= code.co_flags & _ANNOTATIONS
            parts.append(code)
    strange = next((name for part in parts for name in _strange(part)), None)
    if strange is not None:
        # The transformer missed a way to it. The code objects are the last place to see that.
        message = f"the name {strange[:80]!r} is not available in restricted code"
        return _none(Refusal(REFUSED, message, "Use another way.", None))
    return Compiled(marshal.dumps((FORMAT, MAGIC_NUMBER, *parts)), [])


def _split(tree: ast.Module, source: str) -> ast.Expression | None:
    """Take the last expression out of a module, as the guest does with plain text; a semicolon after it keeps it."""
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        return None
    last = tree.body[-1]
    if source.rstrip().endswith(";") and _ends_statement(source, last):
        return None
    tree.body.pop()
    return ast.Expression(last.value)


def _ends_statement(source: str, last: ast.Expr) -> bool:
    """Tell a closing semicolon from one in a comment."""
    lines = source.split("\n")
    rest = lines[last.end_lineno - 1].encode()[last.end_col_offset :] if last.end_lineno else b""
    return rest.lstrip(b") \t").startswith(b";")


def _strange(code: CodeType) -> Iterator[str]:
    """Give the dunder names in a code object that no rule lets through."""
    for names in (code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars):
        yield from (name for name in names if is_dunder(name) and name not in _DUNDERS)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _strange(constant)


def _none(refusal: Refusal) -> Compiled:
    return Compiled(b"", [refusal])


def _span(error: SyntaxError) -> tuple[int, int, int, int]:
    line, column = max(error.lineno or 1, 1), max(error.offset or 1, 1)
    return line, column, max(error.end_lineno or line, line), max(error.end_offset or column, column)
