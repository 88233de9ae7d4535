"""`ABCMeta` and `EnumMeta` as a class statement may name them: to be a metaclass, and for nothing else.

Called, a metaclass makes a class of any dictionary: with dunder methods that no compiler saw, and with patterns that read
any attribute (`ABCMeta("P", (), {"__match_args__": ("gi_frame",)})`, and a generator registered as its instance).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Callable, NoReturn

from sandboxd.guest.restricted.frozen import Frozen, refuse_base, take_slot


class Metaclass(Frozen):
    """Stands for a metaclass of the standard library."""

    __slots__ = ("_real",)
    __init_subclass__ = refuse_base

    def __new__(cls) -> Any:
        """Refuse: `metaclass` is the way."""
        raise TypeError("cannot create 'type' instances")

    def __call__(self, *_arguments: Any, **_keywords: Any) -> NoReturn:
        """Refuse: a class statement is the way."""
        raise TypeError(f"{self!r} cannot be called in restricted code: write a class statement")

    def __mro_entries__(self, _bases: Any) -> NoReturn:
        """Refuse to be a base class: a program's metaclass could answer in place of what a guard allowed."""
        raise TypeError("metaclasses cannot be written in restricted code")

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, _real.__get__(self))

    def __subclasscheck__(self, subclass: Any) -> bool:
        return issubclass(subclass, _real.__get__(self))

    @property
    def __name__(self) -> str:
        """The metaclass's own."""
        name: str = _real.__get__(self).__name__
        return name

    def __repr__(self) -> str:
        return repr(_real.__get__(self))


_real = take_slot(Metaclass, "_real")


def metaclass(name: str) -> Callable[[ModuleType], Metaclass]:
    """Make what makes the stand-in of a module's metaclass."""

    def make(module: ModuleType) -> Metaclass:
        stand_in: Metaclass = object.__new__(Metaclass)
        _real.__set__(stand_in, getattr(module, name))
        return stand_in

    return make


def real(value: object) -> type:
    """Give the metaclass that a class statement names.

    Raises:
        TypeError: it names none.
    """
    if type(value) is not Metaclass:
        raise TypeError("only ABCMeta and EnumMeta can be metaclasses in restricted code")
    found: type = _real.__get__(value)
    return found
