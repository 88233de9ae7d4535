"""What of `sys`, `traceback` and `asyncio` needs a narrower door than the real one."""

from __future__ import annotations

import operator
from types import ModuleType
from typing import Any, Coroutine, Optional

from sandboxd.guest.restricted.frozen import FrozenCallable, frozen_callable

_DEEPEST = 10_000  # frames; a C frame of a few hundred bytes each still fits the usual stack of 8 MiB


def setrecursionlimit(module: ModuleType) -> FrozenCallable:
    """Make `sys.setrecursionlimit` with a ceiling: above it the stack ends before Python does, and the guest with it."""

    def setrecursionlimit(limit: int, /) -> None:
        """Set the maximum depth of the Python interpreter stack, up to 10000 here."""
        if operator.index(limit) > _DEEPEST:
            raise ValueError(f"recursion limit must not be greater than {_DEEPEST} in restricted code")
        module.setrecursionlimit(limit)

    return frozen_callable("setrecursionlimit", setrecursionlimit)


def format_exc(module: ModuleType) -> FrozenCallable:
    """Make `traceback.format_exc`, which names the exception being handled.

    `format_exception` would take it from its caller: an object that says it is a traceback makes it read any file.
    """

    def format_exc(limit: Optional[int] = None, chain: bool = True) -> Any:
        """Give the exception being handled, with its traceback, as text."""
        return module.format_exc(limit, chain)

    return frozen_callable("format_exc", format_exc)


def print_exc(module: ModuleType) -> FrozenCallable:
    """Make `traceback.print_exc`, likewise."""

    def print_exc(limit: Optional[int] = None, file: Any = None, chain: bool = True) -> None:
        """Print the exception being handled, with its traceback, to stderr or a file."""
        module.print_exc(limit, file, chain)

    return frozen_callable("print_exc", print_exc)


def run(module: ModuleType) -> FrozenCallable:
    """Make `asyncio.run` without `loop_factory`: the loop it would be given is the program's object."""

    def run(main: Coroutine[Any, Any, Any], *, debug: Optional[bool] = None) -> Any:
        """Execute the coroutine and return the result."""
        return module.run(main, debug=debug)

    return frozen_callable("run", run)
