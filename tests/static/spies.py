"""What tells an escape: an audit hook while the program runs, and a look at what it holds when it has ended.

Both name facts, not intentions: an event that no operation of the accepted subset causes, an object that no guard may hand out.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Iterable
from typing import Any

_CELL = "<cell"
_WATCHED = (
    "open", "os.", "subprocess.", "socket.", "ctypes.", "shutil.", "exec", "compile", "import", "marshal.", "pickle.", "gc.",
    "sys.", "object.__", "code.__new__", "function.__new__", "builtins.", "glob.", "tempfile.", "pty.", "fcntl.", "mmap.",
    "signal.", "syslog.", "sqlite3.", "urllib.", "webbrowser.", "cpython.", "setopencodehook", "_thread.", "http.",
)  # fmt: skip
# `id` is no secret to a program; it only tells addresses.
_HARMLESS = frozenset({"builtins.id"})
# What library code does for itself (dataclasses and namedtuple make functions from text, asyncio names coroutines): it
# counts where a program's own instruction, or a guard on its behalf, does it.
_MAKING = frozenset(
    {
        "exec",
        "compile",
        "object.__setattr__",
        "object.__getattr__",
        "sys._getframe",
        "code.__new__",
        "function.__new__",
    }
)
_LIMIT = 50


class Watch:
    """An audit hook that records between `begin` and `end`. It cannot be removed: use it in a process that ends."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._on = self._inside = False
        sys.addaudithook(self._heard)

    def begin(self) -> None:
        self._on = True

    def end(self) -> None:
        self._on = False

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._on or self._inside or not event.startswith(_WATCHED) or event in _HARMLESS:
            return
        self._inside = True
        try:
            self._judge(event, args)
        finally:
            self._inside = False

    def _judge(self, event: str, args: tuple[Any, ...]) -> None:
        """Record what happens on a program's behalf: one of its frames is among the callers."""
        frame = sys._getframe(2)
        place = frame.f_code.co_filename
        files = []
        while frame is not None:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back
        if not any(one.startswith(_CELL) for one in files):
            return
        if event in _MAKING and not place.startswith(_CELL) and "/restricted/" not in place:
            return
        # An event loop's own pipe and hooks; a program has no other way to a socket through asyncio's facade.
        if event.startswith(("socket.", "sys.set_asyncgen")) and any("/asyncio/" in one for one in files):
            return
        # A functional enum takes its caller's name for its own, as Python's does; the frame goes no further.
        if event == "sys._getframe" and place.endswith("/facades/hardening.py"):
            return
        # asyncio logs what a callback raised: the traceback's lines are read for stderr, and no program gets them.
        if (
            event == "open"
            and any(one.endswith("/linecache.py") for one in files)
            and any("/logging/" in one for one in files)
        ):
            return
        if len(self.events) < _LIMIT:
            told = [one if isinstance(one, str | int) else type(one).__name__ for one in args[:3]]
            self.events.append(f"{event} {told!r:.120} at {place.rpartition('/')[2]}")


_NEVER = {
    id(getattr(builtins, name)): name
    for name in ("eval", "exec", "compile", "open", "__import__", "globals", "locals", "vars", "input", "breakpoint", "getattr",
                 "setattr", "delattr", "dir", "memoryview")
}  # fmt: skip
# Not a traceback: `__exit__` is given one, as Python has it; the names that lead on from it (tb_frame) are refused everywhere.
_NEVER_TYPES = (
    types.ModuleType, types.FrameType, types.CodeType, types.CellType, types.MappingProxyType,
    types.GetSetDescriptorType, types.MemberDescriptorType,
)  # fmt: skip
_SLOTS = (types.GetSetDescriptorType, types.MemberDescriptorType)
_NEVER_HOMES = frozenset(
    "posix nt _io io marshal _pickle pickle ctypes _ctypes gc sys _imp _thread _posixsubprocess os subprocess importlib "
    "_frozen_importlib _frozen_importlib_external zipimport codecs _codecs inspect socket _socket threading _signal signal".split()
)
_ALLOWED_IO = ("StringIO", "BytesIO", "UnsupportedOperation")
_MOST = 20000
OFFERED: set[int] = set()
"""Functions that a table of facades lists by name: to hold one is no escape, whatever its home."""


def loot(values: Iterable[tuple[str, object]]) -> list[str]:
    """Return what forbidden things are reachable from named values, by the paths a program has: items and own attributes."""
    found: list[str] = []
    seen: set[int] = set()
    waiting = [(name, value) for name, value in values]
    while waiting and len(seen) < _MOST and len(found) < _LIMIT:
        path, value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if why := _forbidden(value):
            found.append(f"{path}: {why}"[:200])
            continue
        waiting += _parts(path, value)
    return found


def _forbidden(value: object) -> str:
    if id(value) in _NEVER:
        return f"builtin {_NEVER[id(value)]}"
    kind = type(value)
    if issubclass(kind, _NEVER_TYPES):
        return kind.__name__
    if kind in (types.BuiltinFunctionType, types.FunctionType, type):
        home = str(getattr(value, "__module__", "") or "").partition(".")[0]
        name = getattr(value, "__name__", "")
        if home in _NEVER_HOMES and name not in _ALLOWED_IO and id(value) not in OFFERED:
            return f"{kind.__name__} {home}.{name}"
    if kind is dict and ("__spec__" in value or "__builtins__" in value):
        return "a namespace"
    return ""


def _parts(path: str, value: object) -> list[tuple[str, object]]:
    kind = type(value)
    if issubclass(kind, dict):
        pairs = list(dict.items(value))  # type: ignore[arg-type]
        return [(f"{path}[{key!r:.40}]", item) for key, item in pairs] + [
            (f"{path} key", key) for key, _ in pairs
        ]
    if issubclass(kind, list | tuple | set | frozenset):
        base = next(one for one in (list, tuple, set, frozenset) if issubclass(kind, one))
        return [(f"{path}[]", item) for item in base.__iter__(value)]  # type: ignore[arg-type]
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return []
    if isinstance(value, type):
        if own.get("__module__") != "__main__":
            return []  # a class of the library's, handed out whole: what it gives is a matter of guarded attributes
        own = {name: item for name, item in own.items() if name[:2] != "__" and not isinstance(item, _SLOTS)}
    return [(f"{path}.{name}", item) for name, item in dict(own).items()]


# Modules whose change by one program the next one would meet; with their classes.
_SHARED = (
    "json json.decoder json.encoder re functools itertools collections dataclasses enum datetime random string statistics operator "
    "copy typing textwrap contextlib decimal _decimal fractions heapq bisect base64 hashlib uuid csv io abc math cmath numbers types "
    "asyncio builtins sys sandboxd.guest.restricted"
).split()
_COUNTERS = frozenset(
    {"_abc_impl", "__annotations__", "__doc__", "_cache", "_warn_unawaited_coroutine", "last_exc"}
)


def state() -> dict[tuple[str, str], int]:
    """Return the identity of every member of the shared modules, and of their classes."""
    found: dict[tuple[str, str], int] = {}
    for module in [
        one
        for name, one in list(sys.modules.items())
        if name in _SHARED or name.startswith("sandboxd.guest.restricted")
    ]:
        for name, value in list(vars(module).items()):
            found[module.__name__, name] = id(value)
            if isinstance(value, type):
                own = {f"{name}.{member}": id(item) for member, item in list(vars(value).items())}
                found.update({(module.__name__, member): place for member, place in own.items()})
    return found


def poisoned(before: dict[tuple[str, str], int]) -> list[str]:
    """Return the members that are others now, or gone, or new."""
    after = state()
    changed = {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}
    # A table that a library makes at first use (base64._b85chars) was None before; who can write can write to more than that.
    changed -= {place for place in changed if place[1].startswith("_") and before.get(place) == id(None)}
    return [
        f"changed: {'.'.join(place)}"
        for place in sorted(changed)
        if place[1].rpartition(".")[2] not in _COUNTERS and place[0] != "sys"
    ][:_LIMIT]
