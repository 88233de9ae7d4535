"""How a program makes classes and asks for types: `class`, and `type` with one argument.

`type(name, bases, dict)` would define any dunder method past the compiler, and a metaclass answers in place of what a
guard allowed; neither exists here.
"""

from __future__ import annotations

import builtins
from io import FileIO
from types import GenericAlias
from typing import Any, NoReturn

from sandboxd.guest.restricted import metaclasses, owners
from sandboxd.guest.restricted.patterns import check_patterns

_build = builtins.__build_class__


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
        TypeError: it is a metaclass, which called makes classes that no compiler saw, or opens any file by its name.
    """
    if kind is type or kind is _Kind:
        return Type
    if issubclass(kind, type) or kind is FileIO:
        raise TypeError(f"the class {kind.__name__!r} is not available in restricted code")
    return kind


def build_class(function: Any, name: str, /, *bases: Any, metaclass: Any = None, **keywords: Any) -> Any:
    """Build the class of a `class` statement.

    Raises:
        TypeError: it would be a metaclass, has one that is none, or its patterns would read a refused attribute.
    """
    if metaclass is not None and metaclass is not Type:
        keywords["metaclass"] = metaclasses.real(metaclass)
    built = _build(function, name, *bases, **keywords)
    # Looked at as it came out: `typing.Type[int]` is a base that turns into `type`.
    if owners.is_class(built):
        if issubclass(built, type) or type(built) is _Kind:
            raise TypeError("metaclasses cannot be written in restricted code")
        check_patterns(built)
    return built
