"""What the zygote does once for all its guests: import, configure for a place without a screen, fill caches.

What un-shares memory. A page stays one for all guests until somebody writes to it, and CPython writes where it only reads:
each use of an object counts a reference on the object's own page (from 3.12 on not for immortal ones), the collector writes
to each object it looks at, a first call specializes a function's bytecode. So a guest that did nothing yet has copied the
pages of all that it used on its way, with one or two such objects on each. What helps: objects are frozen for the
collector; what is the same for all guests is done here (`hygiene.prepare`) and not in each; the clone of a pid 1 runs no
fork hooks (`jail.kernel.clone`); and what a guest allocates does not fall into gaps between old objects (`_fill_gaps`).
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Any, List, Mapping

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
_BYTES_HEADER = sys.getsizeof(b"")
_BLOCK_SIZES = range(48, 513, 16)  # the small allocator's, as far as `bytes` come in them
_IN_A_ROW, _MOST_GAPS = 20, 20_000
_fillers: List[bytes] = []


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
    _use_numpy()
    _use_pandas()
    _use_matplotlib()
    _refuse_threads()
    hygiene.prepare()
    gc.collect()
    _fill_gaps()
    gc.freeze()  # a collection in a guest would otherwise write to, and so copy, every page of these objects


def _use_numpy() -> None:
    """Seed it, as each guest will: pages of its code that the zygote has mapped are no guest's own."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed(0)


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


def _fill_gaps() -> None:
    """Take the free blocks between living objects, so that guests get theirs from untouched memory, side by side.

    In a gap each would lie on a page of its own that is copied for it. Blocks in a row mean that the gaps are used up.
    """
    for size in _BLOCK_SIZES:
        row = last = 0
        for _ in range(_MOST_GAPS):
            _fillers.append(bytes(size - _BYTES_HEADER))
            place = id(_fillers[-1])
            row, last = (row + 1 if place - last == size else 0), place
            if row == _IN_A_ROW:
                break


def _refuse_threads() -> None:
    threads = len(os.listdir(_TASKS)) if os.path.isdir(_TASKS) else 1
    if threads > 1:
        raise RuntimeError(
            f"{threads - 1} threads are left after preloading: leave out of `preload` what starts them"
        )
