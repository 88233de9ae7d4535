"""Showing what a long command does: the last line in place on a terminal, every line elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Self

from sandboxd.cli import output
from sandboxd.cli.terminal import escape_line

if TYPE_CHECKING:
    from types import TracebackType

_ERASE = "\r\x1b[K"
_LEAST_COLUMNS = 20


class Progress:
    """Takes lines; use it as a context, so that the terminal's line is free again afterwards."""

    def __init__(self) -> None:
        self._lively = sys.stderr.isatty()

    def __call__(self, line: str) -> None:
        """Show one line."""
        if not self._lively:
            output.note(line)
            return
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        self._terminal(_ERASE + escape_line(line)[: max(_LEAST_COLUMNS, columns - 1)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if self._lively:
            self._terminal(_ERASE)

    def _terminal(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
