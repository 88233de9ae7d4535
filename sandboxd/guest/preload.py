"""What the zygote does once for all its guests: import, configure for a place without a screen, fill caches."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Any, Mapping

from sandboxd.guest import (
    figures,
    hygiene,
    loop,  # noqa: F401
)
from sandboxd.guest.settings import Settings

# One thread each: thread pools do not survive a fork, and a jail counts threads as processes.
_ENVIRONMENT = {
    "MPLBACKEND": "Agg",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
_TASKS = "/proc/self/task"


def preload(raw: Mapping[str, Any]) -> None:
    """Import the modules that the environment preloads, and use them once.

    Raises:
        ImportError: one is missing.
        RuntimeError: a thread is left: a fork would copy its locks but not the thread.
    """
    settings = Settings.of(raw)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for module in settings.preload:
        importlib.import_module(module)
    _use_pandas()
    _use_matplotlib()
    _refuse_threads()
    hygiene.note_modules()
    hygiene.note_generators()
    gc.collect()
    gc.freeze()  # a collection in a guest would otherwise write to, and so copy, every page of these objects


def _use_pandas() -> None:
    """Load what pandas imports only when it first shows a frame."""
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        frame = pandas.DataFrame({"a": [1.5], "b": ["x"]})
        repr(frame)
        frame._repr_html_()


def _use_matplotlib() -> None:
    """Find the fonts and draw once, which is most of what a first figure costs."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        figure, axes = pyplot.subplots()
        axes.set_title("warm")
        axes.plot([0, 1], [0, 1])
        figures.png(figure)
        pyplot.close("all")


def _refuse_threads() -> None:
    threads = len(os.listdir(_TASKS)) if os.path.isdir(_TASKS) else 1
    if threads > 1:
        raise RuntimeError(
            f"{threads - 1} threads are left after preloading: leave out of `preload` what starts them"
        )
