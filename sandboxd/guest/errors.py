"""A cell's exception, for a reader who will repair the cell: the program's own frames, Python's own wording, a hint.

Frames between and below the program's are libraries': counted, and the last one named. Chained exceptions,
notes, groups and "Did you mean" stay as Python formats them. Formatting runs the program's code (`__str__`,
`__notes__`), so it runs under the interrupt gate; `_plainly` is the way out that runs none.
"""

from __future__ import annotations

import dataclasses
import itertools
import linecache
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Tuple

from sandboxd.guest.hints import INTERRUPTED, hint
from sandboxd.guest.text import clean, clip, clip_middle

if TYPE_CHECKING:
    from types import CodeType, TracebackType

    from sandboxd.guest.cell import Sources
    from sandboxd.guest.interrupts import Gate
    from sandboxd.guest.settings import Settings

Description = Dict[str, Any]

_NAME_CHARACTERS = 128
_MESSAGE_CHARACTERS = 4 * 1024
_TRACEBACK_CHARACTERS = 32 * 1024
_FRAMES_FIRST, _FRAMES_LAST = 5, 25
_GUEST = os.path.dirname(os.path.abspath(__file__)) + os.sep
_HEADER = "Traceback (most recent call last):\n"

_trace_of = BaseException.__dict__["__traceback__"].__get__
_name_of = type.__dict__["__name__"].__get__


class Reporter:
    """Describes exceptions as the `error` of a result frame."""

    __slots__ = ("_gate", "_settings", "_sources")

    def __init__(self, gate: Gate, sources: Sources, settings: Settings) -> None:
        self._gate, self._sources, self._settings = gate, sources, settings

    def move(self, workdir: str) -> None:
        """Name another work directory in hints."""
        self._settings = dataclasses.replace(self._settings, workdir=workdir)

    def describe(self, error: BaseException, filename: str) -> Description:
        """Describe what a cell raised. Never raises, and no interrupt gets out."""
        if issubclass(type(error), KeyboardInterrupt):
            return self._plainly(error, filename, INTERRUPTED)
        if issubclass(type(error), MemoryError):
            self._gate.call(_free_frames, error)
        described, trouble = self._gate.call(self._fully, error, filename)
        if described is None or trouble is not None:
            return self._plainly(error, filename, "")
        return described

    def _fully(self, error: BaseException, filename: str) -> Description:
        if isinstance(error, SyntaxError):
            self._complete(error)
        shown = traceback.TracebackException(
            type(error), error, _trace_of(error), limit=0, lookup_lines=False
        )
        self._select(shown, error, set())
        text = clip_middle("".join(shown.format()).rstrip("\n"), _TRACEBACK_CHARACTERS)
        try:
            message = str(error)
        except Exception as trouble:
            message = f"<exception whose str() raised {type(trouble).__name__}>"
        advice = hint(error, self._settings)
        return {
            "name": clip(_name_of(type(error)), _NAME_CHARACTERS),
            "message": clip(message, _MESSAGE_CHARACTERS),
            "traceback": f"{text}\n{clean(advice)}" if advice else text,
            "line": self._line(error, filename),
        }

    def _complete(self, error: SyntaxError) -> None:
        """Add the source line, which the compiler's later stages look for in a file of the cell's name.

        Of a cell alone: the program that raises a SyntaxError itself can name any file.
        """
        if type(error.filename) is str and error.filename in self._sources and not error.text:
            error.text = linecache.getline(error.filename, error.lineno or 0) or None

    def _plainly(self, error: BaseException, filename: str, advice: str) -> Description:
        """Describe an exception without running any of the program's code."""
        name = clip(_name_of(type(error)), _NAME_CHARACTERS)
        frames = self._frames(_trace_of(error))
        lines = [_HEADER, *frames.format(), f"{name}\n", advice] if frames else [f"{name}\n", advice]
        return {
            "name": name,
            "message": "",
            "traceback": clip_middle("".join(lines).rstrip("\n"), _TRACEBACK_CHARACTERS),
            "line": self._line_of(_trace_of(error), filename),
        }

    def _select(self, shown: traceback.TracebackException, error: BaseException, seen: set[int]) -> None:
        """Give an exception and those it is chained to the frames worth showing."""
        pending: List[Tuple[Optional[traceback.TracebackException], Optional[BaseException]]] = [
            (shown, error)
        ]
        while pending:
            shape, link = pending.pop()
            if shape is None or link is None or id(shape) in seen:
                continue
            seen.add(id(shape))
            # None, not an empty summary: some versions print the header above an empty one.
            shape.stack = self._frames(_trace_of(link)) or None  # type: ignore[assignment]
            pending.append((shape.__cause__, link.__cause__))
            pending.append((shape.__context__, link.__context__))
            members = getattr(shape, "exceptions", None) or (), getattr(link, "exceptions", ())
            pending.extend(zip(*members))

    def _frames(self, trace: Optional[TracebackType]) -> _Frames:
        frames = _Frames()
        between: List[TracebackType] = []
        for link in _links(trace):
            path = link.tb_frame.f_code.co_filename
            if path.startswith(_GUEST):
                continue
            if self._is_program(path):
                if frames:
                    frames.leave_out(len(between))
                between = []
                frames.add(link, path)
            else:
                between.append(link)
        if frames and between:
            frames.leave_out(len(between) - 1)
            frames.name(between[-1])
        return frames

    def _is_program(self, path: str) -> bool:
        return path in self._sources or path == "<string>" or path.startswith(self._settings.workdir + "/")

    def _line(self, error: BaseException, filename: str) -> int:
        if isinstance(error, SyntaxError) and error.filename == filename:
            return error.lineno or 0
        return self._line_of(_trace_of(error), filename)

    @staticmethod
    def _line_of(trace: Optional[TracebackType], filename: str) -> int:
        lines = [link.tb_lineno for link in _links(trace) if link.tb_frame.f_code.co_filename == filename]
        return lines[-1] if lines else 0


class _Frames(traceback.StackSummary):
    """The frames of one exception that are shown, and the lines that stand for the others."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: List[str] = []
        self._texts: Dict[Tuple[int, int], str] = {}  # a deep recursion repeats few places

    def add(self, link: TracebackType, path: str) -> None:
        """Show a frame with its source line."""
        code = link.tb_frame.f_code
        place = (id(code), link.tb_lasti)
        if place not in self._texts:
            columns = _columns(code, link.tb_lasti)
            frame = traceback.FrameSummary(path, link.tb_lineno, code.co_name, lookup_line=False, **columns)
            self.append(frame)
            self._texts[place] = "".join(traceback.StackSummary.from_list([frame]).format())
        self._lines.append(self._texts[place])

    def name(self, link: TracebackType) -> None:
        """Show a library's frame: where it is, without source."""
        code = link.tb_frame.f_code
        self._lines.append(
            f'  File "{_within_library(code.co_filename)}", line {link.tb_lineno}, in {code.co_name}\n'
        )

    def leave_out(self, count: int) -> None:
        """Say how many frames of libraries stand here."""
        if count:
            self._lines.append(f"  [{count} library frame{'s' if count > 1 else ''}]\n")

    def format(self, **_options: Any) -> List[str]:
        """Give the text of the frames: the first and the last ones of a deep recursion."""
        lines = [line for group in itertools.groupby(self._lines) for line in _once(*group)]
        if len(lines) <= _FRAMES_FIRST + _FRAMES_LAST:
            return lines
        between = len(lines) - _FRAMES_FIRST - _FRAMES_LAST
        return [*lines[:_FRAMES_FIRST], f"  [{between} frames left out]\n", *lines[-_FRAMES_LAST:]]


def _once(line: str, repeated: Iterator[str]) -> List[str]:
    count = sum(1 for _ in repeated) - 1
    return [line, f"  [Previous line repeated {count} more times]\n"] if count > 1 else [line] * (count + 1)


def _links(trace: Optional[TracebackType]) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _columns(code: CodeType, instruction: int) -> Dict[str, Any]:
    """Give the part of the line that an instruction stands for, where this Python knows it (3.11 and up)."""
    positions = getattr(code, "co_positions", None)
    if positions is None or instruction < 0:
        return {}
    _, end_line, column, end_column = next(itertools.islice(positions(), instruction // 2, None), (None,) * 4)
    return {"end_lineno": end_line, "colno": column, "end_colno": end_column}


def _within_library(path: str) -> str:
    """Cut a path to what an import would name."""
    for root in sorted(filter(None, sys.path), key=len, reverse=True):
        if path.startswith(root.rstrip("/") + "/"):
            return path[len(root.rstrip("/")) + 1 :]
    return path


def _free_frames(error: BaseException) -> None:
    """Let go of what the frames hold: it may be the very memory that is missing."""
    traceback.clear_frames(_trace_of(error))
