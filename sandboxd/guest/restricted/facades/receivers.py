"""Methods of library classes, called with a receiver of another kind.

Taken from its class, a method written in Python runs on whatever it is given first (one written in C asks). Many make
another of their receiver's class by `self.__class__(...)`. The class of a class is `type`: `Counter.copy(int)` gives `type`
itself, and `ChainMap.new_child(C, "P")` with `C.maps = ((), {...})` is `type("P", (), {...})`: a class with any dunder
method, past the compiler, and by its `__match_args__` a pattern that reads any attribute. So these methods ask too.

So do those that go by names or objects which the receiver keeps: `redirect_stdout.__enter__(own)` gives attributes of `sys`
to who has a `_stream`, `TaskGroup.__aenter__(own)` sets the event loop as the receiver's `_loop`.
"""

from __future__ import annotations

import functools
from types import CodeType, FunctionType, ModuleType
from typing import Any, Callable, Set

from sandboxd.guest.restricted import names, owners

_TELLS = frozenset(("__class__", "type", "getattr", "setattr", "delattr"))
# Whatever the methods of these name: they hold the loop, or `sys`, for their object.
_ALWAYS = frozenset((
    "asyncio.locks", "asyncio.mixins", "asyncio.queues", "asyncio.taskgroups", "asyncio.timeouts", "contextlib",
))  # fmt: skip
_seen: Set[type] = set()


def check_receivers(module: ModuleType) -> None:
    """Make the methods of a module's classes, and of their bases, refuse a receiver of another kind.

    Args:
        module: a real one; its classes are changed, once.
    """
    for value in list(vars(module).values()):
        if owners.is_class(value):
            for cls in owners.bases_of(value):
                if cls not in _seen:
                    _seen.add(cls)
                    _check_class(cls)


def _check_class(cls: type) -> None:
    always = owners.names_of(cls).get("__module__") in _ALWAYS
    for name, found in list(owners.names_of(cls).items()):
        if name.startswith("_") and (name not in names.METHODS or name == "__init__"):
            continue  # the guards give these to nobody, or make nothing of the receiver's class
        if type(found) is FunctionType and (always or _tells(found.__code__)):
            type.__setattr__(cls, name, _asking(cls, found))
        elif (
            type(found) is property
            and type(found.fget) is FunctionType
            and (always or _tells(found.fget.__code__))
        ):
            asking = property(_asking(cls, found.fget), found.fset, found.fdel, found.__doc__)
            type.__setattr__(cls, name, asking)


def _tells(code: CodeType) -> bool:
    inner = (one for one in code.co_consts if type(one) is CodeType)
    return not _TELLS.isdisjoint(code.co_names) or any(map(_tells, inner))


def _asking(cls: type, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def asking(self: Any, /, *args: Any, **keywords: Any) -> Any:
        # By the real chain of bases: an ABC takes for its own what a program registers with it.
        if cls not in owners.bases_of(type(self)):
            raise TypeError(
                f"descriptor {method.__name__!r} for {cls.__name__!r} objects doesn't apply to a "
                f"{type(self).__name__!r} object"
            )
        return method(self, *args, **keywords)

    return asking
