"""Run by any interpreter: every callable that facades lead to, called with all kinds of arguments, and what comes back.

What comes back, what is passed to a callback, and what an exception carries must be nothing that leads out. Unlike the walk of
`facade_script.py` this sees what a member does, not only what it has.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, sys.argv[1])
sys.path.insert(0, str(Path(__file__).parent))
from facade_script import KINDS, PLAIN, THINGS

from sandboxd.guest.restricted import facades

DEPTH = 3
CALL_SECONDS = 0.5  # queues wait, and some calls never end: neither is what this looks for
CARRIED = ("args", "name", "value", "object", "doc", "path", "filename")
WAITING = {"sleep", "setrecursionlimit"}


class Own:
    """A class of the program's, with what some methods look for in their receiver."""

    maps = data = ((), {})

    def method(self, *_: Any) -> int:
        return 1


class Calls:
    """One run over everything."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.calls = 0
        self._seen: set[Any] = set()
        self._arguments: list[tuple[Any, ...]] = [
            (), (1,), ("a",), (b"a",), ([1, 2],), (self.callback,), (Own,), (Own(),), ({},), ("a", "a"), (1, 2), (int,),
            ([1], 1), (self.callback, [1, 2]), ("a", [("x", 1)]), (self.callback, self.callback), (Own, "P"), (Own, 1),
            ("a", {}), (io.StringIO(), ["a"]), (2024, 1), (2024, 1, 1), ("a", "b", "ab"), (io.StringIO("a,b\\n"),), (int, int),
        ]  # fmt: skip

    def callback(self, *args: Any, **keywords: Any) -> int:
        for value in (*args, *keywords.values()):
            self.look("a callback's argument", value)
        return 1

    def look(self, path: str, value: Any) -> None:
        if isinstance(value, KINDS) or any(value is thing for thing in THINGS):
            self.found.add(path)

    def visit(self, path: str, value: Any, depth: int = DEPTH) -> None:
        self.look(path, value)
        name = str(getattr(value, "__qualname__", "")) if callable(value) else ""
        key = (type(value), name, depth)
        if not depth or type(value) in PLAIN or key in self._seen:
            return
        self._seen.add(key)
        for attribute in dir(value):
            if not facades.is_refused(attribute) and attribute not in WAITING:
                with contextlib.suppress(BaseException):
                    self.visit(f"{path}.{attribute}", getattr(value, attribute), depth - 1)
        if callable(value):
            for arguments in self._arguments:
                for result in self._call(path, value, arguments):
                    self.visit(f"{path}()", result, depth - 1)

    def _call(self, path: str, function: Any, arguments: tuple[Any, ...]) -> Iterator[Any]:
        self.calls += 1
        try:
            signal.setitimer(signal.ITIMER_REAL, CALL_SECONDS)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                result = function(*arguments)
                if hasattr(type(result), "__next__"):
                    for item in itertools.islice(result, 3):
                        self.look(f"{path}()[]", item)
        except BaseException as error:  # noqa: BLE001 - most calls are nonsense
            for name in CARRIED:
                carried = getattr(error, name, None)
                for value in carried if isinstance(carried, tuple) else (carried,):
                    self.look(f"{path}()!{name}", value)
        else:
            yield result
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def give_up(*_: object) -> None:
    raise TimeoutError


def kind(value: Any) -> Any:
    return type(value)


def main() -> None:
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, give_up)
    control = Calls()
    control.visit("kind", kind)
    assert "kind()" in control.found, "the walk itself is broken"
    calls = Calls()
    for name in sorted(facades.NAMES):
        with contextlib.suppress(ModuleNotFoundError):
            facade = facades.load(name)
            for member in sorted(set(dir(facade)) - WAITING):
                calls.visit(f"{name}.{member}", getattr(facade, member))
    assert calls.calls > 10_000, calls.calls
    # By the exit's message: what is called here writes to standard output.
    sys.exit("\n".join(sorted(calls.found)) or None)


if __name__ == "__main__":
    main()
