"""The builtins of restricted code: what it is given, and the guards that only the compiler can name.

Absent on purpose: `eval`, `exec`, `compile`, `globals`, `locals`, `vars`, `input`, `breakpoint`, `help`, `exit`. The
hooks' names hold a dot, so no source can spell, bind or shadow them.
"""

from __future__ import annotations

import builtins
from typing import Any, Dict

from sandboxd.guest.restricted import building, facades, importing, owners, reading, writing
from sandboxd.guest.restricted.refused import RefusedError

_AS_THEY_ARE = (
    "abs aiter all anext any ascii bin bool bytearray bytes callable chr classmethod complex dict dir divmod enumerate "
    "filter float format frozenset hash hex id int isinstance issubclass iter len list map max memoryview min next object "
    "oct ord pow print property range repr reversed round set slice sorted staticmethod str sum super tuple zip "
    "Ellipsis NotImplemented"
)
_HOOKS = {
    "private": reading.private,
    "label": reading.label,
    "method": reading.method,
    "format": reading.formatting,
    "object": reading.behind,
    "error": reading.of_error,
    "class_of": reading.class_of,
    "write": writing.write,
    "write_private": writing.write_private,
    "change_private": writing.change_private,
    "write_label": writing.write_label,
    "import_top": importing.import_top,
    "import_leaf": importing.import_leaf,
    "import_from": importing.import_from,
}
_ABSENT = object()

facades.connect(reading.load, owners.adopt)


def make() -> Dict[str, Any]:
    """Make the builtins of one program's namespace. No code of the program's can reach the dictionary itself."""
    given = {name: getattr(builtins, name) for name in _AS_THEY_ARE.split() if hasattr(builtins, name)}
    given.update((name, value) for name, value in vars(builtins).items() if _is_exception(value))
    given.update((f"guard.{name}", hook) for name, hook in _HOOKS.items())
    # The compiler asks these sets in place of a guard, of a class that the guard let through before.
    given.update({"guard.type": type, "guard.writable": writing.WRITABLE, "guard.open": owners.OPEN})
    given.update(
        type=building.Type,
        getattr=facades.frozen_callable("getattr", _getattr),
        hasattr=facades.frozen_callable("hasattr", _hasattr),
        setattr=facades.frozen_callable("setattr", _setattr),
        delattr=facades.frozen_callable("delattr", _delattr),
        __build_class__=building.build_class,
        # Only C code can ask for it: it imports what a library's own method needs (`date.strftime` wants `time`).
        __import__=builtins.__import__,
    )
    return given


def _is_exception(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _getattr(value: Any, name: str, default: Any = _ABSENT, /) -> Any:
    """Get a named attribute from an object; a third argument is returned when it does not exist."""
    if default is _ABSENT:
        return reading.load(value, name)
    try:
        return reading.load(value, name)
    except AttributeError as error:
        _tell(error, value, name)
        return default


def _hasattr(value: Any, name: str, /) -> bool:
    """Return whether the object has an attribute with the given name."""
    try:
        reading.load(value, name)
    except AttributeError as error:
        _tell(error, value, name)
        return False
    return True


def _tell(error: AttributeError, value: Any, name: str) -> None:
    """Raise where Python would have found the attribute.

    Raises:
        TypeError: it is there, and refused.
    """
    if type(error) is RefusedError and reading.hides(value, name):
        raise TypeError(str(error)) from None


def _setattr(value: Any, name: str, new: Any, /) -> None:
    """Set the named attribute on the given object to the specified value."""
    writing.store(value, name, new)


def _delattr(value: Any, name: str, /) -> None:
    """Delete the named attribute from the given object."""
    writing.delete(value, name)
