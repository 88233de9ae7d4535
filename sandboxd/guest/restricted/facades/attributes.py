"""`operator.attrgetter` and `operator.methodcaller` by the attribute guard.

The real ones read any attribute by a string, in C, where no guard sees it; that reopened string.Formatter after
CVE-2026-76825. Sort keys use them, so they exist here: same behaviour, each step through the guard. Where the guard has
nothing to say about any name, the real one does the work, hidden: its class would make others.
"""

from __future__ import annotations

import operator
from typing import Any, Callable, Tuple

from sandboxd.guest.restricted import names
from sandboxd.guest.restricted.facades.guards import guarded_getattr
from sandboxd.guest.restricted.frozen import Frozen, refuse_base, take_slot


class attrgetter(Frozen):  # noqa: N801 - operator's name
    """Return a callable that fetches the given attribute(s) from its operand, dotted names step by step."""

    __slots__ = ("_names", "_work")
    __init_subclass__ = refuse_base

    def __init__(self, attr: str, /, *attrs: str) -> None:
        given = (attr, *attrs)
        if not all(isinstance(name, str) for name in given):
            raise TypeError("attribute name must be a string")
        # As exact strings: the methods of a subclass are the program's, and could change their answer after the check.
        exact = tuple(str.__str__(name) for name in given)
        plain = all(_is_plain(step) for name in exact for step in name.split("."))
        _names.__set__(self, exact)
        _getter.__set__(self, operator.attrgetter(*exact) if plain else _guarded(exact))

    def __call__(self, obj: Any, /) -> Any:
        """Fetch the attribute, or a tuple of them."""
        return _get_getter(self)(obj)

    def __repr__(self) -> str:
        return f"operator.attrgetter({', '.join(map(repr, _names.__get__(self)))})"


class methodcaller(Frozen):  # noqa: N801 - operator's name
    """Return a callable that calls the given method on its operand."""

    __slots__ = ("_shown", "_work")
    __init_subclass__ = refuse_base

    def __init__(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        if not isinstance(name, str):
            raise TypeError("method name must be a string")
        exact = str.__str__(name)
        real = operator.methodcaller(exact, *args, **kwargs)
        _shown.__set__(self, real)
        _caller.__set__(
            self, real if _is_plain(exact) else lambda obj: guarded_getattr(obj, exact)(*args, **kwargs)
        )

    def __call__(self, obj: Any, /) -> Any:
        """Call the method."""
        return _get_caller(self)(obj)

    def __repr__(self) -> str:
        return repr(_shown.__get__(self))


def _is_plain(name: str) -> bool:
    """Tell a name that restricted code may load from any object without a guard."""
    return names.kind_of(name) == names.PLAIN


def _guarded(dotted: Tuple[str, ...]) -> Callable[[Any], Any]:
    def get(obj: Any) -> Any:
        found = tuple(_walk(obj, name) for name in dotted)
        return found if len(dotted) > 1 else found[0]

    return get


def _walk(value: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        value = guarded_getattr(value, name)
    return value


_names = take_slot(attrgetter, "_names")
_getter = take_slot(attrgetter, "_work")
_shown = take_slot(methodcaller, "_shown")
_caller = take_slot(methodcaller, "_work")
_get_getter, _get_caller = _getter.__get__, _caller.__get__
