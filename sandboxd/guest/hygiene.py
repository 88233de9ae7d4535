"""What a fork leaves behind, and what a guest must not inherit from its zygote.

All guests of one zygote start as the same memory. Random state that is the same in each would let one tenant
predict another's "random" values; handlers, hooks and paths of the zygote would run or be importable in
model-written code.

Known remainders: the hash seed, the address layout and the stack canary cannot change without an exec, and
`random.Random` and `numpy.random.RandomState` objects that a preloaded library made for itself at import keep
their state, since nothing tells one that was seeded on purpose (the shipped preloads make none).
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import faulthandler
import gc
import os
import signal
import sys
import threading
from _signal import getsignal as _get_handler  # type: ignore[import-not-found]  # bare: no enum is built per call
from typing import TYPE_CHECKING, Any, Mapping, Tuple

if TYPE_CHECKING:
    from sandboxd.guest.settings import Settings

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # spelt as the path's entry is
_PACKAGE = "sandboxd"
_UMASK = 0o022
_CHOSEN_SEED_BITS = 64  # a seed that somebody wrote down is shorter; numpy draws 128 bits itself


class _Seen:
    """What the zygote noted: generators that numpy seeded by itself."""

    generators: Tuple[Any, ...] = ()


def prepare() -> None:
    """Do in the zygote, once, what is the same for all guests: a page that only the zygote writes is never copied."""
    _reset_hooks()
    _note_generators()
    _forget_package()


def _note_generators() -> None:
    """Note what preloaded modules made with `default_rng()`: each guest draws from them anew."""
    generator = getattr(sys.modules.get("numpy.random"), "Generator", None)
    if generator is not None:
        found = [one for one in gc.get_objects() if issubclass(type(one), generator)]
        _Seen.generators = tuple(one.bit_generator for one in found if _is_drawn(one.bit_generator))


def _is_drawn(source: Any) -> bool:
    """Tell a seed that numpy drew from one that was given: that one is no secret, and wanted again."""
    entropy = getattr(getattr(source, "seed_seq", None), "entropy", None)
    return isinstance(entropy, int) and entropy.bit_length() > _CHOSEN_SEED_BITS


def cleanse(settings: Settings) -> None:
    """Turn a fork of the zygote into a fresh interpreter for a program. Call once, before the first cell.

    A sandbox waits for this, and every page it writes to is copied: so it touches no more than it must.
    """
    _reset_signals()
    atexit._clear()  # noqa: SLF001
    reseed()
    _reset_paths(settings.workdir)
    gc.enable()


def between_cells() -> None:
    """Take off the tracers that a cell left: they would run in the guest's own code."""
    if sys.gettrace() is not None:
        sys.settrace(None)
    if sys.getprofile() is not None:
        sys.setprofile(None)


def _reset_signals() -> None:
    """Drop inherited handlers. Python's own ignored SIGPIPE and SIGXFSZ stay: EPIPE and EFBIG are exceptions."""
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        if number != signal.SIGINT and callable(_get_handler(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reset_hooks() -> None:
    if faulthandler.is_enabled():
        faulthandler.disable()
    sys.excepthook, sys.displayhook = sys.__excepthook__, sys.__displayhook__
    sys.unraisablehook = sys.__unraisablehook__
    threading.excepthook = getattr(threading, "__excepthook__", threading.excepthook)  # 3.10 and up
    between_cells()
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # the zygote runs without `site`


def reseed() -> None:
    """Give this guest random state of its own; a bare clone runs none of Python's fork hooks.

    OpenSSL and uuid need nothing: the first sees a new process id and reseeds itself, the second asks the kernel.
    """
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "numpy.random" in sys.modules:
        # One number of 32 bits: an array of more would touch, and so copy, half a megabyte of numpy's pages.
        sys.modules["numpy.random"].seed(int.from_bytes(os.urandom(4), "little"))
    for source in _Seen.generators:
        _draw_anew(source)
    if "tempfile" in sys.modules:
        sys.modules["tempfile"]._name_sequence = None  # type: ignore[attr-defined]  # noqa: SLF001
    if "multiprocessing.process" in sys.modules:
        sys.modules["multiprocessing.process"].current_process().authkey = os.urandom(32)


def _draw_anew(source: Any) -> None:
    another = type(source)()
    source.state = another.state
    with contextlib.suppress(TypeError):  # numpy before 1.25: what it spawns stays predictable
        source.__setstate__((another.state, another.seed_seq))


def reseed_clone(names: Mapping[str, Any]) -> None:
    """Give a clone random state of its own: the shared generators, and those that a program named and did not seed.

    Nothing tells a `random.Random` that was seeded from one that was not: those stay, as do generators inside other objects.
    """
    reseed()
    generator = getattr(sys.modules.get("numpy.random"), "Generator", None)
    if generator is None:
        return
    for value in list(names.values()):
        if issubclass(type(value), generator) and _is_drawn(value.bit_generator):
            _draw_anew(value.bit_generator)


def move(before: str, workdir: str) -> None:
    """Make another directory the program's place. It stands there already."""
    sys.path[:] = [workdir if entry == before else entry for entry in sys.path]
    sys.path_importer_cache.pop(before, None)
    if os.environ.get("HOME") == before:
        os.environ["HOME"] = workdir
    if "multiprocessing.process" in sys.modules:
        sys.modules["multiprocessing.process"]._children.clear()  # noqa: SLF001  they are the original's


def _reset_paths(workdir: str) -> None:
    """Make the program's place: its directory last on the path, for uploaded helpers that must not shadow a library."""
    os.umask(_UMASK)
    os.chdir(workdir)
    sys.argv = [""]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv = [sys.executable]
    hidden = ("", ".", _ROOT, workdir)
    for entry in [entry for entry in sys.path if entry in hidden]:
        sys.path.remove(entry)
        sys.path_importer_cache.pop(entry, None)
    sys.path.append(workdir)


def _forget_package() -> None:
    """Hide this package from `import`: what runs already keeps its functions, and needs no module."""
    for name in [name for name in sys.modules if _is_ours(name)]:
        del sys.modules[name]


def _is_ours(name: str) -> bool:
    return name == _PACKAGE or name.startswith(_PACKAGE + ".")
