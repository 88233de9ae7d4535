"""Writing for people and for pipes: rich on a terminal, plain lines otherwise, JSON on request."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

from sandboxd.cli.terminal import escape, escape_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STYLES = {
    "ok": "green",
    "degraded": "yellow",
    "unknown": "yellow",
    "missing": "bold red",
    "error": "bold red",
    "denied": "bold red",
}


def write(text: str, stream: TextIO | None = None) -> None:
    """Write text that others chose, at once; what the stream's encoding lacks is written out too."""
    target: TextIO = sys.stdout if stream is None else stream
    encoding = target.encoding or "utf-8"
    target.write(escape(text).encode(encoding, "backslashreplace").decode(encoding))
    target.flush()


def line(text: str, *, style: str = "") -> None:
    """Write one line to stdout, styled on a terminal."""
    styled([(text, style)])


def styled(parts: Sequence[tuple[str, str]]) -> None:
    """Write one line to stdout whose parts have styles on a terminal; a status may stand for its style."""
    if any(style for _, style in parts) and sys.stdout.isatty():
        _print_styled((text, _STYLES.get(style, style)) for text, style in parts)
    else:
        write("".join(text for text, _ in parts) + "\n")


def note(text: str) -> None:
    """Write one line to stderr: progress and remarks, which are not the command's result."""
    write(text + "\n", sys.stderr)


def emit_json(value: Any) -> None:
    """Write one JSON document; ASCII, so that it is as safe on a terminal as in a pipe."""
    print(json.dumps(value, indent=2, ensure_ascii=True, default=str))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table on a terminal, tab-separated lines otherwise."""
    if not sys.stdout.isatty():
        for row in rows:
            write("\t".join(escape_line(cell) for cell in row) + "\n")
        return
    from rich.console import Console  # noqa: PLC0415  # 60 ms that a pipe need not pay
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table(*headings, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        # Text: rich reads no markup in it.
        grid.add_row(*(Text(escape(cell), style=_STYLES.get(cell, "")) for cell in row))
    Console().print(grid)


def error(code: str, message: str, remedy: str = "") -> None:
    """Tell what went wrong, in the one form that all commands share."""
    note(f"sandboxd: {code}: {message}")
    for part in remedy.splitlines():
        note(f"  {part}")


def _print_styled(parts: Iterable[tuple[str, str]]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    Console().print(Text.assemble(*((escape(text), style) for text, style in parts)), soft_wrap=True)
