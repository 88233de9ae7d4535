"""What library code does for its callers on what they say, made harmless in the library itself.

Changed where it is, once, because other modules call it too (`dataclasses.asdict` copies its values).
"""

from __future__ import annotations

import copy
import enum
import functools
import sys
import traceback
import typing
from types import FunctionType
from typing import Any, Callable, Dict, List, Union

from sandboxd.guest.restricted import owners
from sandboxd.guest.restricted.building import check_base
from sandboxd.guest.restricted.facades.copying import reconstruct
from sandboxd.guest.restricted.facades.internals import confine_tracebacks

_create: Callable[..., Any] = enum.EnumMeta._create_  # type: ignore[attr-defined]
_done: List[bool] = []


def harden() -> None:
    """Change the library, where other modules call it too; again is no harm.

    Copying fills only new objects of the copied one's own class (`copying`).

    `Enum(name, members)` makes no dunder members. It makes a class of names given as data: with methods that no compiler
    saw, and with a `__class__` that answers in the object's place.

    `typing.Type[int]` is no base class. It turns into `type`, and an enum with it makes its members by calling `type` with
    the three arguments that a member's value lists, before the builder of classes sees what came out.
    """
    enum.EnumMeta._create_ = _create_plain  # type: ignore[attr-defined]
    copy._reconstruct = reconstruct  # type: ignore[attr-defined]  # noqa: SLF001
    confine_tracebacks()
    if not _done:
        _done.append(True)
        _harden_typing()


def confine_suggestions() -> None:
    """Let no traceback import what an exception names.

    From 3.12 on, "Did you mean" imports the module that an ImportError says it is about: the program's to choose.
    """
    suggest = getattr(traceback, "_compute_suggestion_error", None)
    if suggest is None or hasattr(suggest, "__wrapped__"):
        return

    @functools.wraps(suggest)
    def suggest_of_known(error: Any, *rest: Any) -> Any:
        # Of the exact classes `name` is a plain slot; a program's own could answer differently the second time.
        known = (
            type(error) in (ImportError, ModuleNotFoundError)
            and type(error.name) is str
            and error.name in sys.modules
        )
        return None if isinstance(error, ImportError) and not known else suggest(error, *rest)

    traceback._compute_suggestion_error = suggest_of_known  # type: ignore[attr-defined]  # noqa: SLF001


def _harden_typing() -> None:
    for cls in list(vars(typing).values()):
        if owners.is_class(cls) and type(owners.names_of(cls).get("__mro_entries__")) is FunctionType:
            cls.__mro_entries__ = _no_metaclass(cls.__mro_entries__)


def _no_metaclass(entries: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(entries)
    def __mro_entries__(self: Any, bases: Any) -> Any:  # noqa: N807 - the name in messages
        found = entries(self, bases)
        if any(owners.is_class(base) and issubclass(base, type) for base in found):
            raise TypeError("metaclasses cannot be written in restricted code")
        return found

    return __mro_entries__


def _create_plain(cls: Any, class_name: Any, names: Any, *rest: Any, **options: Any) -> Any:
    if options.get("module") is None:
        # As the real one does, which would count one frame too many: of the caller of `Enum(...)`.
        options["module"] = sys._getframe(2).f_globals.get("__name__")  # noqa: SLF001
    if options.get("type") is not None:
        check_base(options["type"])  # the members are made before the class could refuse
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
