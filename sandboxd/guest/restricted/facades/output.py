"""`sys.stdout` and `sys.stderr`, to write to and nothing else.

The real ones lead by public attributes (`buffer`, `raw`) to the class that opens any file.
"""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any, Callable, Dict, Iterable, Tuple

from sandboxd.guest.restricted.frozen import Frozen, refuse_base, take_slot


class Output(Frozen):
    """A text stream for writing."""

    __slots__ = ("_real",)
    __init_subclass__ = refuse_base

    def __new__(cls) -> Any:
        """Refuse: `output` is the way."""
        raise TypeError("cannot create 'TextIOWrapper' instances")

    def write(self, text: str, /) -> int:
        """Write text, and return its number of characters."""
        count: int = _real.__get__(self).write(text)
        return count

    def writelines(self, lines: Iterable[str], /) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what is buffered."""
        _real.__get__(self).flush()

    def isatty(self) -> bool:
        """Tell that nobody sits there."""
        return False

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def readable(self) -> bool:
        """Tell that it cannot be read."""
        return False

    @property
    def encoding(self) -> str:
        """The name of the encoding."""
        return str(_real.__get__(self).encoding)

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""
        return bool(_real.__get__(self).closed)

    def __repr__(self) -> str:
        return "<output stream>"


_real = take_slot(Output, "_real")
_made: Dict[str, Tuple[Any, Output]] = {}


def output(name: str) -> Callable[[ModuleType], Any]:
    """Make what gives the current stream of a name: asked each time, for `redirect_stdout` puts another in its place.

    A stream that the program put there is given as it is.
    """

    def current(module: ModuleType) -> Any:
        real = getattr(module, name)
        if not isinstance(real, io.TextIOWrapper):
            return real
        known = _made.get(name)
        if known is None or known[0] is not real:
            made: Output = object.__new__(Output)
            _real.__set__(made, real)
            known = _made[name] = real, made
        return known[1]

    return current
