"""matplotlib figures as PNG. matplotlib is known by name only, and nothing here imports it."""

from __future__ import annotations

import contextlib
import io
import sys
from importlib.machinery import PathFinder
from typing import Any, Callable, List, Optional

_PYPLOT = "matplotlib.pyplot"


def is_figure(value: Any) -> bool:
    """Tell whether a value is a matplotlib Figure."""
    kind = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
    return isinstance(kind, type) and isinstance(value, kind)


def png(figure: Any) -> bytes:
    """Draw a figure as notebooks do: cropped to its content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def take_open() -> List[Any]:
    """Close pyplot's open figures and give those that hold anything."""
    pyplot = sys.modules.get(_PYPLOT)
    if pyplot is None:
        return []
    taken = [pyplot.figure(number) for number in pyplot.get_fignums()]
    pyplot.close("all")
    return [
        figure for figure in taken if len(figure.get_children()) > 1
    ]  # an empty one has its background only


def close(figure: Any) -> None:
    """Close a figure that was shown, so that it is not shown again."""
    pyplot = sys.modules.get(_PYPLOT)
    if pyplot is not None:
        pyplot.close(figure)


def discard() -> None:
    """Forget all open figures without drawing them: what an interrupted cell drew is half done."""
    pyplot = sys.modules.get(_PYPLOT)
    if pyplot is not None:
        pyplot.close("all")


def on_show(show: Callable[[], None]) -> None:
    """Make `pyplot.show()` call a function, now or as soon as a cell imports pyplot."""
    if _PYPLOT in sys.modules:
        _replace_show(sys.modules[_PYPLOT], show)
    else:
        sys.meta_path.insert(0, _PyplotFinder(show))


class _PyplotFinder:
    """An import hook for one module.

    A backend of our own would be simpler, but programs call `matplotlib.use("Agg")`; a replaced `show`
    survives that.
    """

    def __init__(self, show: Callable[[], None]) -> None:
        self._show = show

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[Any]:
        """Find pyplot as Python would, and replace its `show` once it has run."""
        if name != _PYPLOT:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_replace(module: Any) -> None:
                run(module)
                _replace_show(module, self._show)

            with contextlib.suppress(
                AttributeError
            ):  # a loader without a place for it: figures wait for the cell's end
                spec.loader.exec_module = run_and_replace  # type: ignore[method-assign]
        return spec


def _replace_show(pyplot: Any, show: Callable[[], None]) -> None:
    def show_figures(*_arguments: Any, **_options: Any) -> None:
        """Show the open figures as images, and close them."""
        show()

    show_figures.__name__ = show_figures.__qualname__ = "show"
    pyplot.show = show_figures
