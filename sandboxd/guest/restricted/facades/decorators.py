"""Decorators that write to what they decorate: here only to what the program wrote itself.

The real ones set attributes on whatever they are given. `update_wrapper` copied a library function's `__globals__` once its
caller chose the names; `total_ordering`, `final` and `abstractmethod` would mark a library's classes for everybody.
"""

from __future__ import annotations

import functools
from types import FunctionType, ModuleType
from typing import Any, Callable, Dict

from sandboxd.guest.restricted import owners
from sandboxd.guest.restricted.facades.names import is_refused
from sandboxd.guest.restricted.frozen import FrozenCallable, frozen_callable

_COPIED = ("__module__", "__name__", "__qualname__", "__doc__")


def update_wrapper(_module: ModuleType) -> FrozenCallable:
    """Make `functools.update_wrapper` with the attributes that it copies by default, and no choice of others."""
    return frozen_callable("update_wrapper", _update_wrapper)


def wraps(_module: ModuleType) -> FrozenCallable:
    """Make `functools.wraps`, likewise."""

    def wraps(wrapped: Any) -> FrozenCallable:
        """Decorator factory to give a wrapper function the name, docstring and attributes of the wrapped one."""
        return frozen_callable("wraps", lambda wrapper: _update_wrapper(wrapper, wrapped))

    return frozen_callable("wraps", wraps)


def _update_wrapper(wrapper: Any, wrapped: Any) -> Any:
    """Give a wrapper function the name, docstring and attributes of the wrapped one."""
    if not owners.is_own_function(wrapper):
        raise TypeError("update_wrapper() changes functions of your program only, in restricted code")
    for name in functools.WRAPPER_ASSIGNMENTS if owners.is_own_function(wrapped) else _COPIED:
        if hasattr(wrapped, name):
            setattr(wrapper, name, getattr(wrapped, name))
    wrapper.__dict__.update(_attributes(wrapped))
    return wrapper


def _attributes(wrapped: Any) -> Dict[str, Any]:
    """Give what `wrapped` has attributes of its own for: what its reader could have read and set one by one.

    `__wrapped__` is not among them: nothing may read it, and `inspect` would follow it.
    """
    names = dict(getattr(wrapped, "__dict__", {}))
    private = owners.is_own_function(wrapped)
    return {
        name: value
        for name, value in names.items()
        if type(name) is str and (not is_refused(name) or (private and not name.startswith("__")))
    }


def total_ordering(module: ModuleType) -> FrozenCallable:
    """Make `functools.total_ordering`, which sets methods, for the program's own classes."""
    return frozen_callable("total_ordering", _for_own_classes(module.total_ordering))


def runtime_checkable(module: ModuleType) -> FrozenCallable:
    """Make `typing.runtime_checkable`, which marks a protocol, for the program's own ones."""
    return frozen_callable("runtime_checkable", _for_own_classes(module.runtime_checkable))


def _for_own_classes(decorate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(decorate)
    def for_own_classes(cls: Any) -> Any:
        if not (owners.is_class(cls) and owners.is_own_class(cls)):
            raise TypeError(f"{decorate.__name__}() changes classes of your program only, in restricted code")
        return decorate(cls)

    return for_own_classes


def abstractmethod(module: ModuleType) -> FrozenCallable:
    """Make `abc.abstractmethod`, which marks the function, for the program's own functions and what wraps them."""

    def abstractmethod(funcobj: Any) -> Any:
        """A decorator indicating abstract methods."""
        foreign = type(funcobj) is FunctionType and not owners.is_own_function(funcobj)
        if foreign or (owners.is_class(funcobj) and not owners.is_own_class(funcobj)):
            raise TypeError("abstractmethod() marks functions of your program only, in restricted code")
        return module.abstractmethod(funcobj)

    return frozen_callable("abstractmethod", abstractmethod)


def mark(name: str) -> Callable[[ModuleType], FrozenCallable]:
    """Make a decorator that only type checkers read: it gives back what it got, without the mark."""
    return lambda _module: frozen_callable(name, lambda decorated: decorated)
