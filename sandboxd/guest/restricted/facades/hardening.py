"""What library code does for its callers on what they say, made harmless in the library itself.

Changed where it is, once, because other modules call it too (`dataclasses.asdict` copies its values).
"""

from __future__ import annotations

import copy
import enum
import sys
from typing import Any, Callable, Dict, List, Union

_reconstruct: Callable[..., Any] = copy._reconstruct  # type: ignore[attr-defined]  # noqa: SLF001


_create: Callable[..., Any] = enum.EnumMeta._create_  # type: ignore[attr-defined]


def harden() -> None:
    """Change the library, where other modules call it too; again is no harm.

    Copying fills only new objects of the copied one's own class. `copy` asks an object for `__reduce_ex__`, on the instance,
    calls what it names, and sets the attributes it lists on what comes back. `types.SimpleNamespace` takes any attribute
    names; so its `__reduce_ex__` could be a program's function, and copying it `setattr` without a guard.

    `Enum(name, members)` makes no dunder members. It makes a class of names given as data: with methods that no compiler
    saw, and with a `__class__` that answers in the object's place.
    """
    enum.EnumMeta._create_ = _create_plain  # type: ignore[attr-defined]
    copy._reconstruct = _reconstruct_same  # type: ignore[attr-defined]  # noqa: SLF001


def _reconstruct_same(original: Any, memo: Any, function: Any, *rest: Any, **options: Any) -> Any:
    def make(*args: Any) -> Any:
        made = function(*args)
        if type(made) is not type(original):
            raise TypeError(f"copying a {type(original).__name__!r} object made a {type(made).__name__!r}")
        return made

    return _reconstruct(original, memo, make, *rest, **options)


def _create_plain(cls: Any, class_name: Any, names: Any, *rest: Any, **options: Any) -> Any:
    if options.get("module") is None:
        # As the real one does, which would count one frame too many: of the caller of `Enum(...)`.
        options["module"] = sys._getframe(2).f_globals.get("__name__")  # noqa: SLF001
    return _create(cls, class_name, _members(names), *rest, **options)


def _members(names: Any) -> Union[List[Any], Dict[str, Any]]:
    """Give the members that a functional enum is asked for, as plain data that cannot change after the check.

    Raises:
        ValueError: a name is a dunder.
    """
    if isinstance(names, str):
        return [_plain(name) for name in str.replace(names, ",", " ").split()]
    if not isinstance(names, (list, tuple)) and hasattr(names, "keys"):
        return {_plain(name): names[name] for name in names}
    given = [item if isinstance(item, str) else tuple(item) for item in names]
    return [_plain(item) if isinstance(item, str) else (_plain(item[0]), *item[1:]) for item in given]


def _plain(name: str) -> str:
    exact = str.__str__(name)
    if exact.startswith("__"):
        raise ValueError(f"invalid enum member name in restricted code: {exact!r}")
    return exact
