"""From a module's name to its facade; the real module is imported when its facade is first wanted."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from functools import partial
from types import ModuleType
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, NoReturn, Tuple

from sandboxd.guest.restricted.facades.facade import Facade, hint_for, make, name_of
from sandboxd.guest.restricted.facades.hardening import confine_suggestions, harden
from sandboxd.guest.restricted.facades.internals import confine_library
from sandboxd.guest.restricted.facades.receivers import check_receivers
from sandboxd.guest.restricted.facades.sealed import sealed
from sandboxd.guest.restricted.facades.tables import TABLE

NAMES: FrozenSet[str] = frozenset(TABLE)

_LIBRARY = os.path.dirname(os.__file__)
_loaded: Dict[str, Facade] = {}


def load(name: str) -> Facade:
    """Give the facade of a module.

    Args:
        name: a dotted name, absolute.

    Raises:
        ImportError: there is such a module, but not for restricted code.
        ModuleNotFoundError: there is none.
    """
    facade = _loaded.get(name)
    if facade is None:
        if name not in TABLE:
            _refuse(name)
        harden()
        with _library_paths():
            facade = _loaded[name] = _make(name)
    return facade


def check_from(facade: Facade, names: Tuple[str, ...]) -> None:
    """Check the names of a `from` import, as Python does after it has the module; with a better message.

    Args:
        facade: of the module before `import`.
        names: those after it.

    Raises:
        ImportError: the facade lacks one.
    """
    there = dir(facade)
    for name in names:
        if name not in there:
            module = name_of(facade)
            raise ImportError(
                f"cannot import name {name!r} from {module!r} in restricted code; {hint_for(facade, name)}",
                name=module,
            )


def confine_imports() -> None:
    """Leave only the standard library on the import path, for good; for a guest that runs nothing but restricted code.

    Some library code imports when it is called (`ZoneInfo("x")` looks for a package `tzdata`): without this it would find
    what lies in the work directory, and run it unrestricted.
    """
    sys.path[:] = _of_library(sys.path)
    confine_suggestions()


def _make(name: str) -> Facade:
    entry = TABLE[name]
    real = importlib.import_module(name)
    check_receivers(real)
    confine_library(real)
    for other in entry.implicit.split():
        with contextlib.suppress(ModuleNotFoundError):  # of another Python
            importlib.import_module(other)
    makers: Dict[str, Callable[[ModuleType], Any]] = dict(entry.wrapped)
    makers.update((member, partial(sealed, name=member)) for member in entry.sealed.split())
    makers.update((member, partial(_as_is, name=member)) for member in entry.members.split())
    members = {member: maker(real) for member, maker in makers.items() if hasattr(real, member)}
    members.update((child, load(f"{name}.{child}")) for child in entry.children.split())
    dynamic = {member: partial(current, real) for member, current in entry.dynamic.items()}
    return make(name, real.__doc__, members, entry.hints, dynamic)


def _as_is(module: ModuleType, name: str) -> Any:
    """Give a member, but of a list a copy: the library's own would be everybody's to change."""
    value = getattr(module, name)
    return type(value)(value) if type(value) in (list, dict, set) else value


def _refuse(name: str) -> NoReturn:
    top = name.partition(".")[0]
    if name in sys.builtin_module_names or top in _STANDARD:
        raise ImportError(f"the module {name!r} is not available in restricted code", name=name)
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextlib.contextmanager
def _library_paths() -> Iterator[None]:
    """Import from the standard library alone: a module that this Python lacks must not be found in the work directory."""
    before = sys.path[:]
    sys.path[:] = _of_library(before)
    try:
        yield
    finally:
        sys.path[:] = before


def _of_library(path: List[str]) -> List[str]:
    return [entry for entry in path if entry in (_LIBRARY, os.path.join(_LIBRARY, "lib-dynload"))]


_STANDARD: FrozenSet[str] = getattr(sys, "stdlib_module_names", frozenset())  # 3.10 and up
