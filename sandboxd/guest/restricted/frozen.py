"""Callables and classes that show nothing of what they are made of, and cannot be changed.

A Python function tells its module by `__globals__`, its captured values by `__closure__`, what it decorates by
`__wrapped__`; a bound or built-in one its owner by `__self__` (of `math.sqrt` that is the module). The attribute guard
refuses these names. What stands here holds without it.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any, Callable, NoReturn

_dict_of: Any = type.__dict__["__dict__"].__get__
_mro_of: Any = type.__dict__["__mro__"].__get__


class Sealed(type):
    """A class that cannot be changed from outside: a patched method would run for everybody who holds an instance."""

    def __setattr__(cls, name: str, value: object) -> NoReturn:
        raise TypeError(f"cannot set {name!r} attribute of immutable type {cls.__name__!r}")

    def __delattr__(cls, name: str) -> NoReturn:
        raise TypeError(f"cannot delete {name!r} attribute of immutable type {cls.__name__!r}")


def take_slot(owner: type, name: str) -> Any:
    """Take a slot's descriptor off its class: then no attribute of an instance leads to what the slot holds.

    Args:
        owner: a class whose `__slots__` has the name.
        name: the slot's.

    Returns:
        The descriptor, the only way left to the value.
    """
    descriptor = vars(owner)[name]
    type.__delattr__(owner, name)
    return descriptor


def _refuse_base(cls: type, /, **_keywords: object) -> NoReturn:
    raise TypeError(f"type {cls.__mro__[1].__name__!r} is not an acceptable base type")


# Stands as a class's `__init_subclass__`: an instance of a subclass is the program's own, and its private names open.
refuse_base: Any = classmethod(_refuse_base)


def is_closed(cls: type) -> bool:
    """Tell a class that must not be a base, or derives from one."""
    return any(
        type(base) is Sealed or _dict_of(base).get("__init_subclass__") is refuse_base
        for base in _mro_of(cls)
    )


class Frozen(metaclass=Sealed):
    """What frozen things share: they copy to themselves, as functions do, and neither change nor pickle."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__!r} object attribute {name!r} is read-only")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__!r} object attribute {name!r} is read-only")

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        # Pickle's protocol would list the state, or the class and arguments to make another from.
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")


class FrozenCallable(Frozen):
    """A callable that hides its function. Made by `frozen_callable`."""

    __slots__ = ("_doc", "_function", "_name")

    def __new__(cls) -> Any:
        """Refuse: `frozen_callable` is the way."""
        raise TypeError("cannot create 'function' instances")

    def __init_subclass__(cls, **_keywords: object) -> NoReturn:
        raise TypeError("type 'function' is not an acceptable base type")

    def __call__(self, /, *args: Any, **keywords: Any) -> Any:
        """Call the function."""
        return _function.__get__(self)(*args, **keywords)

    @property
    def __name__(self) -> str:
        name: str = _name.__get__(self)
        return name

    def __repr__(self) -> str:
        return f"<function {_name.__get__(self)}>"


_function = take_slot(FrozenCallable, "_function")
_name = take_slot(FrozenCallable, "_name")
_doc = take_slot(FrozenCallable, "_doc")
type.__setattr__(FrozenCallable, "__doc__", property(_doc.__get__))


def frozen_callable(name: str, function: Callable[..., Any]) -> FrozenCallable:
    """Wrap a function for code that must be able to call it and nothing more.

    Args:
        name: what it is called: its `__name__`, and in its repr.
        function: what a call runs; its docstring is kept.

    Returns:
        An immutable object without a way to the function, its globals, its closure or its owner.
    """
    if type(function) is FunctionType and "<locals>" in function.__qualname__:
        function.__qualname__ = name  # errors about arguments name it; it was made for this
    frozen: FrozenCallable = object.__new__(FrozenCallable)
    _function.__set__(frozen, function)
    _name.__set__(frozen, name)
    _doc.__set__(frozen, function.__doc__)
    return frozen
