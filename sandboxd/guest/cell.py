"""Compile and run one cell in a persistent `__main__`.

The source is parsed once; when its last statement is an expression, that is compiled apart and its value is
the cell's. Names, classes and functions live in a real `__main__` module, so that `if __name__ ==
"__main__"`, pickle, dataclasses and typing find what they look for.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import io
import linecache
import sys
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from sandboxd.guest.restricted.restriction import Restriction

if TYPE_CHECKING:
    from sandboxd.guest.coroutines import CellLoop

_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_PARSE = ast.PyCF_ONLY_AST | _AWAIT
_ANNOTATIONS = __future__.annotations.compiler_flag
_COROUTINE = 0x80  # inspect.CO_COROUTINE, without the cost of importing inspect
_SOURCES_CEILING = 16 * 1024 * 1024  # characters of source kept for tracebacks

_compile, _eval, _StringIO = compile, eval, io.StringIO


class Sources:
    """The sources of the cells that ran, for tracebacks; the oldest go when they grow too large in all."""

    __slots__ = ("_sizes", "_total")

    def __init__(self) -> None:
        self._sizes: Dict[str, int] = {}
        self._total = 0

    def __contains__(self, filename: object) -> bool:
        return filename in self._sizes

    def add(self, filename: str, code: str) -> None:
        """Register a cell's source under its file name, also for `traceback` and `inspect`."""
        self._total += len(code) - self._sizes.pop(filename, 0)
        self._sizes[filename] = len(code)
        # Not str.splitlines: it breaks lines at form feeds and U+2028, where Python does not.
        lines = _StringIO(code, newline=None).readlines()
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"  # as linecache does; traceback counts on it to place its carets
        linecache.cache[filename] = (
            len(code),
            None,
            lines,
            filename,
        )  # no mtime: never checked against a file
        while self._total > _SOURCES_CEILING and len(self._sizes) > 1:
            oldest = next(iter(self._sizes))
            self._total -= self._sizes.pop(oldest)
            linecache.cache.pop(oldest, None)

    def forget(self, filename: str) -> None:
        """Drop a cell's source."""
        self._total -= self._sizes.pop(filename, 0)
        linecache.cache.pop(filename, None)


class Interpreter:
    """The namespace that a session's cells share."""

    __slots__ = ("_flags", "_loop", "_module", "_restriction", "names", "sources")

    def __init__(self, loop: CellLoop) -> None:
        self._module = ModuleType("__main__")
        self.names: Dict[str, Any] = vars(self._module)
        self.sources = Sources()
        self._loop = loop
        self._restriction: Optional[Restriction] = None
        self._flags = 0  # `from __future__ import annotations` holds for the cells after it
        self.prepare()

    def prepare(self) -> None:
        """Put back what a cell may have removed from under the next one."""
        sys.modules["__main__"] = self._module
        if self._restriction is not None:
            self._restriction.prepare(self.names)
            return
        self.names.setdefault("__name__", "__main__")
        self.names.setdefault("__builtins__", builtins)

    def restrict(self, workdir: str) -> None:
        """Run nothing but compiled programs from here on, among guards and facades."""
        self._restriction = Restriction(workdir)
        self.prepare()

    def offer(self, functions: Dict[str, Any], errors: Dict[str, Any], text: str) -> None:
        """Give restricted programs these tools, in place of those they had."""
        self._restricted.offer(functions, errors, text)

    def move(self, workdir: str) -> None:
        """Take another work directory."""
        if self._restriction is not None:
            self._restriction.move(workdir)

    def run(self, code: str, filename: str, program: bytes = b"") -> Any:
        """Run a cell, or what was compiled of it, and give the value of its last expression, or None.

        Raises:
            ValueError: the program is none of this Python's.
        """
        self.sources.add(filename, code)
        # By the program, and by the session: whichever of the two is wrong, no plain text runs among restricted cells.
        if program or self._restriction is not None:
            parts = self._restricted.load(program, filename)
        else:
            parts = self._compiled(code, filename)
        if any(part.co_flags & _COROUTINE for part in parts):
            return self._loop.run(self._run_async(parts))
        value = None
        for part in parts:
            value = _eval(part, self.names)
        return value

    @property
    def _restricted(self) -> Restriction:
        if self._restriction is None:
            raise ValueError("this session was never restricted")
        return self._restriction

    def _compiled(self, code: str, filename: str) -> List[CodeType]:
        tree = _compile(code, filename, "exec", _PARSE | self._flags, True, -1)
        last = self._split(tree, code)
        parts = [self._code(tree, filename, "exec")] if tree.body else []
        if last is not None:
            parts.append(self._code(last, filename, "eval"))
        return parts

    async def _run_async(self, parts: List[CodeType]) -> Any:
        """Run all of a cell inside the loop: `task = create_task(…)` needs it as much as `await task`."""
        value = None
        for part in parts:
            value = _eval(part, self.names)
            if part.co_flags & _COROUTINE:
                value = await value
        return value

    @staticmethod
    def _split(tree: ast.Module, code: str) -> Optional[ast.Expression]:
        """Take the last expression out of a module; a semicolon after it means: do not show the value."""
        if not tree.body or not isinstance(tree.body[-1], ast.Expr):
            return None
        last = tree.body[-1]
        if code.rstrip().endswith(";") and _ends_statement(code, last):
            return None
        tree.body.pop()
        return ast.Expression(last.value)

    def _code(self, tree: ast.AST, filename: str, mode: str) -> CodeType:
        code: CodeType = _compile(tree, filename, mode, _AWAIT | self._flags, True, -1)  # type: ignore[call-overload]
        self._flags |= code.co_flags & _ANNOTATIONS
        return code


def _ends_statement(code: str, last: ast.Expr) -> bool:
    """Tell a closing semicolon from one in a comment."""
    lines = code.split("\n")
    rest = lines[last.end_lineno - 1].encode("utf-8")[last.end_col_offset :] if last.end_lineno else b""
    return rest.lstrip(b") \t").startswith(b";")
