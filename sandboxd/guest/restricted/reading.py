"""The guards of attribute loads: one for each kind of name that the compiler does not leave to Python.

Each gives what Python gives, or raises AttributeError. A plain name needs none: see `sandboxd/restrict/__init__.py`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, NoReturn

from sandboxd.guest.restricted import facades, formatter, names, owners
from sandboxd.guest.restricted.refused import RefusedError

_super_class: Any = super.__dict__["__self_class__"].__get__
_super_this: Any = super.__dict__["__thisclass__"].__get__
_NAMEDTUPLE = frozenset(("_asdict", "_replace", "_fields", "_make", "_field_defaults"))
_PAST_GUARDS = frozenset(("__init__", "__get__", "__set__", "__delete__"))
_MOST_KINDS = 4096
_kinds: Dict[str, str] = {}


def load(value: Any, name: str) -> Any:
    """Load an attribute whose name was made at run time.

    Raises:
        AttributeError: there is none, or its name is refused.
        TypeError: the name is no string.
    """
    if type(name) is not str:
        name = exact(name)
    kind = _kinds.get(name)
    if kind is None:
        kind = _learn(name)
    return _LOADERS[kind](value, name)


def exact(name: Any) -> str:
    """Give a string as an exact one: a subclass could answer each check as it likes."""
    if not issubclass(type(name), str):
        raise TypeError(f"attribute name must be string, not {type(name).__name__!r}")
    return str.__str__(name)


def _learn(name: str) -> str:
    kind = names.kind_of(name)
    if len(_kinds) < _MOST_KINDS:  # a program can make up names without end
        _kinds[name] = kind
    return kind


def private(value: Any, name: str) -> Any:
    """Load a private attribute: only of the program's own objects."""
    if not owners.opens(type(value), name) and not _is_open(value, name):
        refuse(value, name)
    return getattr(value, name)


def may_use_private(value: Any, name: str) -> bool:
    """Tell whether a private attribute is the program's own."""
    return owners.opens(type(value), name) or _is_open(value, name)


def _is_open(value: Any, name: str) -> bool:
    """Tell the same of what is no instance of an own class."""
    kind = type(value)
    if issubclass(kind, super):
        return _is_open_above(value, name)
    if owners.is_class(value):
        if name in _NAMEDTUPLE and issubclass(value, tuple):
            return True
        # A metaclass is a library's; its private names come after the class's own.
        return owners.is_own_class(value) and _defines(value, name)
    if name in _NAMEDTUPLE and issubclass(kind, tuple):
        return True
    return owners.is_own_function(value)


def _defines(cls: type, name: str) -> bool:
    return owners.opens_private(cls, name) and any(
        name in owners.names_of(base) for base in owners.bases_of(cls)
    )


def _is_open_above(proxy: Any, name: str) -> bool:
    """Tell whether what `super()` would find stands in a class of the program's."""
    kind, this = _super_class(proxy), _super_this(proxy)
    if kind is None:
        return False
    bases = owners.bases_of(kind)
    for base in bases[bases.index(this) + 1 :]:
        if name in owners.names_of(base):
            return owners.is_own_class(base)
    return True  # nowhere: Python says so


def label(value: Any, name: str) -> Any:
    """Load `__name__` and its kin, which are plain text on everything that a program holds."""
    if type(value) is facades.Facade and name == "__name__":
        return facades.name_of(value)
    found = getattr(value, name)
    if found is not None and type(found) is not str:
        refuse(value, name)
    return found


def method(value: Any, name: str) -> Any:
    """Load a method of Python's data model. Each is what an operator or a builtin calls anyway, but for a few.

    `__init__` of a library's object would make it another: a file's takes any path. `__set__` of a library's descriptor
    would change an instance past the guards of stores.
    """
    if name in _PAST_GUARDS and not _is_ours(value, name):
        refuse(value, name)
    return getattr(value, name)


def _is_ours(value: Any, name: str) -> bool:
    kind = type(value)
    if owners.is_own_function(value):
        return True
    if issubclass(kind, super):
        kind = _super_class(value)  # None, if it is bound to nothing
    elif owners.is_class(value):
        return name == "__init__" or (owners.is_own_class(value) and _is_defined_here(value, name))
    return (
        kind is not None
        and owners.is_own_class(kind)
        and (name == "__init__" or _is_defined_here(kind, name))
    )


def _is_defined_here(cls: type, name: str) -> bool:
    """Tell whether a program's descriptor does what the program wrote.

    A library's writes to whatever it is given: `cached_property.__get__` to an instance's dictionary, past the guards.
    """
    defining = (base for base in owners.bases_of(cls) if name in owners.names_of(base))
    return all(base is property or owners.is_own_class(base) for base in defining)


def formatting(value: Any, name: str) -> Any:
    """Load `format`: that of strings walks attributes by the template's text (CVE-2023-41039), so another one is given.

    Known by what is found, not by what it is asked of: `super().format` and an alias in a class are the same method.
    """
    return formatter.safe_method(value, name, load)


def behind(value: Any, name: str) -> Any:
    """Load `obj`, but not of an AttributeError: there it is whatever a proxy stands before (CVE-2024-47532)."""
    kind = value if owners.is_class(value) else type(value)
    if issubclass(kind, AttributeError) or owners.is_proxy(kind):
        refuse(value, name)
    return getattr(value, name)


def of_error(value: Any, name: str) -> Any:
    """Load what an exception is chained to, or its notes."""
    if not issubclass(type(value), BaseException):
        refuse(value, name)
    return getattr(value, name)


def class_of(value: Any) -> type:
    """Give an object's class to the one load that may ask it: `x.__class__.__name__`."""
    return type(value)


def refuse(value: Any, name: str) -> NoReturn:
    """Raise what a program sees when a guard says no."""
    raise refusal(value, name)


def refusal(value: Any, name: str) -> AttributeError:
    """Make the same."""
    if type(value) is facades.Facade:
        return RefusedError(f"module {facades.name_of(value)!r} has no attribute {name!r} in restricted code")
    return RefusedError(
        f"{type(value).__name__!r} object attribute {name!r} is not available in restricted code"
    )


def hides(value: Any, name: str) -> bool:
    """Tell whether a refused attribute is there: then no answer that leaves it out is Python's."""
    if type(value) is facades.Facade:
        return facades.hides(value, exact(name))
    return hasattr(value, exact(name))


_LOADERS: Dict[str, Callable[[Any, str], Any]] = {
    names.PLAIN: getattr,
    names.PRIVATE: private,
    names.LABEL: label,
    names.METHOD: method,
    names.FORMAT: formatting,
    names.OBJECT: behind,
    names.ERROR: of_error,
    names.REFUSED: refuse,
}
