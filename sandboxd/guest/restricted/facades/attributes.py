"""`operator.attrgetter` and `operator.methodcaller` by the attribute guard.

The real ones read any attribute by a string, in C, where no guard sees it; that reopened string.Formatter after
CVE-2026-76825. Sort keys use them, so they exist here: same behaviour, each step through the guard.
"""

from __future__ import annotations

from typing import Any, Tuple

from sandboxd.guest.restricted.facades.guards import guarded_getattr
from sandboxd.guest.restricted.frozen import Frozen, refuse_base, take_slot


class attrgetter(Frozen):  # noqa: N801 - operator's name
    """Return a callable that fetches the given attribute(s) from its operand, dotted names step by step."""

    __slots__ = ("_names",)
    __init_subclass__ = refuse_base

    def __init__(self, attr: str, /, *attrs: str) -> None:
        names = (attr, *attrs)
        if not all(isinstance(name, str) for name in names):
            raise TypeError("attribute name must be a string")
        # As exact strings: the methods of a subclass are the program's, and could change their answer after the check.
        _names.__set__(self, tuple(str.__str__(name) for name in names))

    def __call__(self, obj: Any, /) -> Any:
        """Fetch the attribute, or a tuple of them."""
        names: Tuple[str, ...] = _names.__get__(self)
        found = tuple(_walk(obj, name) for name in names)
        return found if len(names) > 1 else found[0]

    def __repr__(self) -> str:
        return f"operator.attrgetter({', '.join(map(repr, _names.__get__(self)))})"


class methodcaller(Frozen):  # noqa: N801 - operator's name
    """Return a callable that calls the given method on its operand."""

    __slots__ = ("_arguments", "_keywords", "_method")
    __init_subclass__ = refuse_base

    def __init__(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        if not isinstance(name, str):
            raise TypeError("method name must be a string")
        _method.__set__(self, str.__str__(name))
        _arguments.__set__(self, args)
        _keywords.__set__(self, kwargs)

    def __call__(self, obj: Any, /) -> Any:
        """Call the method."""
        method = guarded_getattr(obj, _method.__get__(self))
        return method(*_arguments.__get__(self), **_keywords.__get__(self))

    def __repr__(self) -> str:
        parts = [repr(_method.__get__(self)), *map(repr, _arguments.__get__(self))]
        parts += [f"{key}={value!r}" for key, value in _keywords.__get__(self).items()]
        return f"operator.methodcaller({', '.join(parts)})"


def _walk(value: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        value = guarded_getattr(value, name)
    return value


_names = take_slot(attrgetter, "_names")
_method = take_slot(methodcaller, "_method")
_arguments = take_slot(methodcaller, "_arguments")
_keywords = take_slot(methodcaller, "_keywords")
