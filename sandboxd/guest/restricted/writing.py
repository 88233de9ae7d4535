"""The guards of attribute stores and deletions: only what is the program's own, or a copy made for it, may change.

Items need none: what cannot be changed supports no item assignment, or is never handed out (`facades`).
"""

from __future__ import annotations

from typing import Any, Set, Tuple

from sandboxd.guest.restricted import facades, names, owners, reading

# Instances of these answer for themselves: they take no attributes, and Python's own words say so.
_PLAIN = (
    int, float, complex, bool, str, bytes, bytearray, list, tuple, dict, set, frozenset, range, slice, type(None), object,
)  # fmt: skip
# Instances of a library's classes whose attributes are meant to be set; each is its program's own object.
_SETTABLE = frozenset((
    ("types", "SimpleNamespace"), ("decimal", "Context"), ("textwrap", "TextWrapper"),
))  # fmt: skip

_flags_of: Any = type.__dict__["__flags__"].__get__
_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE, 3.10 and up
WRITABLE: Set[type] = set(_PLAIN)
"""The classes whose instances take attributes, as far as it was asked."""


def write(value: Any) -> Any:
    """Give an object back if its attributes may be set or deleted.

    Raises:
        AttributeError: it is not the program's own.
    """
    if type(value) in WRITABLE or _is_writable(value):
        return value
    raise refusal(value)


def _is_writable(value: Any) -> bool:
    kind = type(value)
    if owners.is_class(value):
        # Of a static type Python itself lets nothing change, and has its own error for that.
        return owners.is_own_class(value) or bool(_flags_of(value) & _IMMUTABLE)
    if owners.is_own_class(kind) or _is_settable(kind):
        WRITABLE.add(kind)
        return True
    return owners.is_own_function(value) or issubclass(kind, BaseException)


def _is_settable(kind: type) -> bool:
    return (kind.__module__, kind.__name__) in _SETTABLE


def write_private(value: Any, _name: str) -> Any:
    """Give an object back if private attributes of it may be set: of own objects alone, functions among them."""
    kind = type(value)
    if owners.is_own_class(kind) or owners.is_own_function(value):
        return value
    if owners.is_class(value) and owners.is_own_class(value):
        return value
    raise refusal(value)


def change_private(value: Any, name: str) -> Any:
    """Give an object back if a private attribute may be read and set: augmented assignment does both."""
    if not reading.may_use_private(value, name):
        reading.refuse(value, name)
    return write_private(value, name)


def write_label(value: Any) -> Any:
    """Give back a function or class of the program's: a decorator may carry over the name of what it wraps."""
    if owners.is_own_function(value) or (owners.is_class(value) and owners.is_own_class(value)):
        return value
    raise refusal(value)


def store(value: Any, name: str, new: Any) -> None:
    """Set an attribute whose name was made at run time."""
    target, checked = _checked(value, name)
    setattr(target, checked, new)


def delete(value: Any, name: str) -> None:
    """Delete an attribute whose name was made at run time."""
    target, checked = _checked(value, name)
    delattr(target, checked)


def _checked(value: Any, name: str) -> Tuple[Any, str]:
    name = reading.exact(name)
    kind = names.kind_of(name)
    if kind in (names.PLAIN, names.FORMAT, names.OBJECT):
        return write(value), name
    if kind == names.PRIVATE:
        return write_private(value, name), name
    raise reading.refusal(value, name)


def refusal(value: Any) -> AttributeError:
    """Make what a program sees when it would change what is not its own."""
    if type(value) is facades.Facade:
        return AttributeError(f"module {facades.name_of(value)!r} cannot be changed in restricted code")
    what = f"{value.__name__!r}" if owners.is_class(value) else f"{type(value).__name__!r} object"
    return AttributeError(f"{what} cannot be changed in restricted code: it is not the program's own")
