"""What a cell shows beside its output: `display(...)`, rich results, open figures. Bounded per item and per cell."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, Dict, Optional

from sandboxd.guest import figures
from sandboxd.guest.bundle import TEXT, Bundle, add_all, empty, rich
from sandboxd.guest.frames import FrameTooLargeError
from sandboxd.guest.text import bounded_repr, clip, marker

if TYPE_CHECKING:
    from sandboxd.guest.frames import Channel
    from sandboxd.guest.settings import Settings

_FRAME_COST_BYTES = 256  # so that a flood of empty displays reaches the limit too
_FIGURES = 50


class Displays:
    """Sends the displays of the running cell.

    The mutable state is the cell's id and its budget. A cell's threads may show things too; at worst a race
    between them overdraws the budget by one item.
    """

    __slots__ = ("_cell", "_channel", "_dropped_bytes", "_dropped_items", "_left", "_settings")

    def __init__(self, channel: Channel, settings: Settings) -> None:
        self._channel, self._settings = channel, settings
        self._cell: Optional[str] = None
        self._left = 0
        self._dropped_items = self._dropped_bytes = 0

    def begin(self, cell: str) -> None:
        """Open the budget of a new cell."""
        self._cell = cell
        self._left = self._settings.display_total_bytes
        self._dropped_items = self._dropped_bytes = 0

    def end(self) -> None:
        """Close the running cell, saying what did not fit."""
        if self._dropped_items:
            limit = self._settings.display_total_bytes
            what = marker(self._dropped_items, f"displays (a cell may show {limit:,} bytes in all)")
            self._send({TEXT: what}, empty(), is_result=False, dropped=self._dropped_bytes)
        self._cell = None

    def present(self, value: Any) -> Optional[str]:
        """Give the repr of a cell's value, and show the value if it has a richer form.

        A failing repr raises: it is the program's own, as at Python's prompt.
        """
        if value is None:
            return None
        text = bounded_repr(value, self._settings.repr_limit)
        bundle = rich(value)
        if bundle.data or bundle.notes:
            self._show(bundle, text, is_result=True)
            if figures.is_figure(value):
                figures.close(value)
        return text

    def display(self, *values: Any, raw: bool = False, **_options: Any) -> None:
        """Show values in their richest form; with raw=True, dicts of mime type to data."""
        for value in values:
            if raw and isinstance(value, dict):
                bundle = empty()
                add_all(bundle, value)
                self._show(bundle, bundle.data.pop(TEXT, ""), is_result=False)
            else:
                bundle = rich(value)
                self._show(bundle, self._safe_repr(value), is_result=False)
                if figures.is_figure(value):
                    figures.close(value)

    def show_figures(self) -> None:
        """Show and close pyplot's open figures."""
        taken = figures.take_open()
        for figure in taken[:_FIGURES]:
            self._show(rich(figure), self._safe_repr(figure), is_result=False)
        if len(taken) > _FIGURES:
            self._show(empty(), marker(len(taken) - _FIGURES, "figures"), is_result=False)

    def _show(self, bundle: Bundle, text: str, *, is_result: bool) -> None:
        """Send what fits of one item; a form that does not is left out and counted."""
        dropped = 0
        kept = {TEXT: "\n".join((clip(text, self._settings.repr_limit), *bundle.notes))}
        left = self._left - _FRAME_COST_BYTES - _size(kept[TEXT])
        if left < 0:
            self._dropped_items += 1
            self._dropped_bytes += sum(map(_size, bundle.data.values())) + _size(text)
            return
        for mime, value in bundle.data.items():
            size = _size(value)
            if size > self._settings.display_item_bytes or size > left:
                dropped += size
                kept[TEXT] += f"\n[{mime} left out: {size:,} bytes are over the limit]"
            else:
                left -= size
                kept[mime] = value
        self._left = left
        self._send(kept, bundle, is_result=is_result, dropped=dropped)

    def _send(self, data: Dict[str, str], bundle: Bundle, *, is_result: bool, dropped: int) -> None:
        if self._cell is None:  # a thread of a cell that has ended
            return
        message = {
            "op": "display",
            "id": self._cell,
            "data": data,
            "base64": [mime for mime in data if mime in bundle.base64],
            "is_result": is_result,
            "dropped": dropped,
        }
        try:
            self._channel.send(message)
        except FrameTooLargeError:
            self._dropped_items += 1

    def _safe_repr(self, value: Any) -> str:
        try:
            return bounded_repr(value, self._settings.repr_limit)
        except Exception as error:
            return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def install(displays: Displays) -> None:
    """Make `display` a built-in and route `pyplot.show` to it."""

    def display(*values: Any, raw: bool = False, **options: Any) -> None:
        """Show values beside the output: tables, figures, images, HTML, whatever rich form they have."""
        displays.display(*values, raw=raw, **options)

    builtins.display = display  # type: ignore[attr-defined]
    figures.on_show(displays.show_figures)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
