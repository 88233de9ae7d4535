"""The guard that facades ask when a caller names an attribute by a string.

The guest's runtime connects its own attribute guard. Until then the strict one here holds: no refused name, formatting
through the safe formatter.
"""

from __future__ import annotations

from typing import Any, Callable

from sandboxd.guest.restricted import formatter
from sandboxd.guest.restricted.facades.names import is_refused
from sandboxd.guest.restricted.refused import RefusedError

Guard = Callable[[Any, str], Any]


def strict_getattr(value: Any, name: str) -> Any:
    """Load an attribute as restricted code may.

    Raises:
        AttributeError: there is none, or its name is refused.
        TypeError: the name is no exact `str`: the methods of a subclass can answer the checks as they like.
    """
    if type(name) is not str:
        raise TypeError("attribute name must be string, not " + repr(type(name).__name__))
    if is_refused(name):
        raise RefusedError(
            f"{type(value).__name__!r} object attribute {name!r} is not available in restricted code"
        )
    if name in formatter.NAMES:
        return formatter.safe_method(value, name, guarded_getattr)
    return getattr(value, name)


class _Hooks:
    attribute: Guard = staticmethod(strict_getattr)
    adopt: Callable[[type], None] = staticmethod(lambda _cls: None)


def connect(attribute: Guard, adopt: Callable[[type], None]) -> None:
    """Give the facades the runtime's own rules.

    Args:
        attribute: its attribute guard.
        adopt: told of a class that a member made in place of one of the program's (`dataclass(slots=True)` does).
    """
    _Hooks.attribute, _Hooks.adopt = staticmethod(attribute), staticmethod(adopt)


def guarded_getattr(value: Any, name: str) -> Any:
    """Load an attribute through the connected guard."""
    return _Hooks.attribute(value, name)


def adopt(cls: type) -> None:
    """Make a class the program's own."""
    _Hooks.adopt(cls)
