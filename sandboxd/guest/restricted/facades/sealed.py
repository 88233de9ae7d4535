"""Library classes that must not be derived from.

On instances of its own classes a program may use private names. Where a library class rests on private state that leads out,
the class here is one that has no subclasses: `redirect_stdout` sets and returns `sys` attributes by the name in `_stream`,
what asyncio's classes keep in `_loop` starts processes.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sandboxd.guest.restricted.frozen import refuse_base


def sealed(module: ModuleType, name: str) -> Any:
    """Make the class of a module that behaves as the named one and cannot be derived from.

    Args:
        module: where it is.
        name: the class's.
    """
    cls = getattr(module, name)
    body = {
        "__slots__": (),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__init_subclass__": refuse_base,
    }
    return type(cls)(cls.__name__, (cls,), body)
