"""How a program makes classes and asks for types: `class`, and `type` with one argument.

`type(name, bases, dict)` would define any dunder method past the compiler, and a metaclass answers in place of what a
guard allowed; neither exists here.
"""

from __future__ import annotations

import builtins
import typing
from io import FileIO
from types import FunctionType, GenericAlias, MemberDescriptorType
from typing import Any, NoReturn

from sandboxd.guest.restricted import metaclasses, owners
from sandboxd.guest.restricted.frozen import is_closed
from sandboxd.guest.restricted.patterns import check_patterns

_build = builtins.__build_class__
_INTERNAL = frozenset(("_asyncio", "asyncio", "tempfile", "traceback"))


class _Kind(type):
    """The class of `Type`: makes it answer as `type` does, and call with one argument only."""

    def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
        if len(arguments) != 1 or keywords:
            raise TypeError("type() takes 1 argument in restricted code: write a class statement")
        return shown(type(arguments[0]))

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, type)

    def __subclasscheck__(cls, subclass: Any) -> bool:
        return issubclass(subclass, (type, Type))

    def __setattr__(cls, name: str, value: Any) -> NoReturn:
        raise TypeError(f"cannot set {name!r} attribute of immutable type 'type'")

    def __delattr__(cls, name: str) -> NoReturn:
        raise TypeError(f"cannot delete {name!r} attribute of immutable type 'type'")

    def __repr__(cls) -> str:
        return "<class 'type'>"


class Type(metaclass=_Kind):
    """type(object) -> the object's type."""

    __slots__ = ()
    __module__ = "builtins"
    __qualname__ = "type"

    def __class_getitem__(cls, item: Any) -> Any:
        return GenericAlias(cls, item)


type.__setattr__(Type, "__name__", "type")


def shown(kind: Any) -> Any:
    """Give a class as a program may hold it.

    Raises:
        TypeError: it is a metaclass, which called makes classes that no compiler saw, or opens any file by its name, or
            removes it (what `NamedTemporaryFile` returns is of such a class).
    """
    if kind is type or kind is _Kind:
        return Type
    if issubclass(kind, type) or kind is FileIO or _is_internal(kind):
        raise TypeError(f"the class {kind.__name__!r} is not available in restricted code")
    return kind


def _is_internal(kind: type) -> bool:
    """Tell a class that no facade hands out and whose own instances lead out.

    `FrameSummary` reads a line of any file; a `Task` tells the loop that it is given how it was called, in such frames.
    """
    home = owners.home_of(kind).partition(".")[0]
    return home in _INTERNAL and not is_closed(kind) and not issubclass(kind, BaseException)


def build_class(function: Any, name: str, /, *bases: Any, metaclass: Any = None, **keywords: Any) -> Any:
    """Build the class of a `class` statement.

    Raises:
        TypeError: it would be a metaclass, has one that is none or a base that must not be one, or its patterns or slots
            would stand for a refused attribute.
    """
    if metaclass is not None and metaclass is not Type:
        keywords["metaclass"] = metaclasses.real(metaclass)
    if "_root" in keywords:
        # typing's own word for its classes: with it they keep a base that comes after them from being asked.
        raise TypeError("Cannot subclass special typing classes")
    for base in bases:
        check_base(base)
    built = _build(function, name, *bases, **keywords)
    # Looked at as it came out: `typing.Type[int]` is a base that turns into `type`.
    if owners.is_class(built):
        if issubclass(built, type) or type(built) is _Kind:
            raise TypeError("metaclasses cannot be written in restricted code")
        _check_slots(built)
        check_patterns(built)
    return built


def check_base(base: Any) -> None:
    """Refuse a base that must not be one, before anything is made of it.

    Its own refusal can come too late, or never: an enum makes its members first and hands them to the program's `__init__`,
    and `Random` before it does not ask it.

    Raises:
        TypeError: it is such a base, stands for one, or is none.
    """
    if not owners.is_class(base) and not _stands_for_class(base):
        raise TypeError("bases must be types in restricted code")
    while not owners.is_class(base):
        base = getattr(base, "__origin__", object)
    if is_closed(base):
        raise TypeError(f"type {base.__name__!r} is not an acceptable base type")
    if issubclass(base, type):
        raise TypeError("metaclasses cannot be written in restricted code")
    if owners.is_proxy(base):
        # What is set on an instance of typing's alias lands on what it stands for: `json.JSONEncoder.default = evil`.
        raise TypeError(f"type {base.__name__!r} is not an acceptable base type in restricted code")


def _stands_for_class(base: Any) -> bool:
    """Tell `list[int]`, `typing.List[int]`, `NamedTuple`. What else has `__mro_entries__` has them from the program."""
    kind = type(base)
    if kind is FunctionType:
        return base is typing.NamedTuple or base is typing.TypedDict
    typed = owners.names_of(kind).get("__module__") == "typing" and not owners.is_own_class(kind)
    return kind is GenericAlias or typed


def _check_slots(built: type) -> None:
    """Refuse a slot that takes a hook's place: `__slots__ = ("__getattr__",)` is a method, which copying can fill."""
    for name, found in owners.names_of(built).items():
        if type(found) is MemberDescriptorType and name.startswith("__") and name.endswith("__"):
            raise TypeError(f"a slot cannot be called {name!r} in restricted code")
