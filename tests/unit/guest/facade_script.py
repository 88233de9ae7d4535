"""Run by any interpreter: all facades' members, and what a program reaches from them by names that the guard allows.

Every member is walked: public attributes of functions, classes and instances made without arguments, items of containers. What
must not be reached: modules, frames, code, tracebacks, event loops, what makes code of text, what opens files.
"""

from __future__ import annotations

import asyncio
import builtins
import io
import json
import sys
import types
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, sys.argv[1])
from sandboxd.guest.restricted import facades

DEPTH = 4
KINDS = (
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.TracebackType,
    asyncio.AbstractEventLoop,
)
NAMES = "eval exec compile open __import__ getattr setattr delattr globals locals vars input breakpoint"
THINGS = [getattr(builtins, name) for name in NAMES.split()]
THINGS += [
    type,
    types.ModuleType,
    types.FunctionType,
    types.CodeType,
    io.FileIO,
    io.TextIOWrapper,
    sys.modules,
    vars(builtins),
]
PLAIN = (int, float, complex, bool, str, bytes, type(None))


class Walk:
    """One walk; every object once at each depth."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._seen: dict[int, tuple[int, Any]] = {}

    def visit(self, path: str, value: Any, depth: int = DEPTH) -> None:
        if isinstance(value, KINDS) or any(value is thing for thing in THINGS):
            self.found.append(path)
            return
        if type(value) in PLAIN or self._seen.get(id(value), (0, None))[0] >= depth or not depth:
            return
        self._seen[id(value)] = (depth, value)
        for name, next_value in around(value):
            self.visit(f"{path}{name}", next_value, depth - 1)


def around(value: Any) -> Iterator[tuple[str, Any]]:
    """What a program gets from an object by one step."""
    for name in dir(value):
        if not facades.is_refused(name):
            try:
                yield f".{name}", getattr(value, name)
            except Exception:  # noqa: BLE001 - an abstract or unset attribute
                continue
    if type(value) in (dict, types.MappingProxyType):
        yield from ((f"[{key!r}]", item) for key, item in list(value.items()))
    if type(value) in (list, tuple, set, frozenset):
        yield from ((f"[{index}]", item) for index, item in enumerate(list(value)))
    if isinstance(value, type):
        try:
            yield "()", value()
        except Exception:  # noqa: BLE001 - it wants arguments
            return


def main() -> None:
    control = Walk()
    control.visit("statistics", vars(__import__("statistics")), 2)
    loaded = {name: facades.load(name) for name in sorted(facades.NAMES) if available(name)}
    walk = Walk()
    for name, facade in loaded.items():
        walk.visit(name, facade, DEPTH + 1)
    members = {name: dir(facade) for name, facade in loaded.items()}
    sys.stdout.write(json.dumps({"members": members, "found": walk.found, "control": control.found}))


def available(name: str) -> bool:
    try:
        facades.load(name)
    except ModuleNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
