"""`dataclasses.dataclass` without the ways to make it run text.

The decorator writes source with the fields' names in it and executes that. It takes names from annotations, which the
compiler has checked, and from the `Field` objects of base classes, whose `name` is an attribute like any other, or a
property of a `Field` subclass (`type(field())` is one to derive from). For a class without a docstring it asks for the
signature, which reads a base's docstring as a C signature, and in it any dotted name through all loaded modules.
"""

from __future__ import annotations

import keyword
import sys
from types import ModuleType
from typing import Any, Iterable, Optional

from sandboxd.guest.restricted import owners
from sandboxd.guest.restricted.facades.guards import adopt
from sandboxd.guest.restricted.frozen import FrozenCallable, frozen_callable
from sandboxd.guest.restricted.patterns import check_patterns

_signature_of: Any = type.__dict__["__text_signature__"]


def dataclass(module: ModuleType) -> FrozenCallable:
    """Make `dataclasses.dataclass` for the program's own classes."""

    def dataclass(cls: Optional[type] = None, /, **options: Any) -> Any:
        """Add dunder methods based on the fields defined in the class."""

        def decorate(cls: type) -> type:
            _check(cls, module)
            made: type = module.dataclass(cls, **options)
            if made is not cls:
                adopt(made)  # slots=True makes another class
            check_patterns(made)
            return made

        return frozen_callable("dataclass", decorate) if cls is None else decorate(cls)

    return frozen_callable("dataclass", dataclass)


def _check(cls: type, module: ModuleType) -> None:
    """Refuse a class whose fields are not what they look like.

    Raises:
        TypeError: it is no class of the program's, or has or inherits such a field.
    """
    if not (owners.is_class(cls) and owners.is_own_class(cls)):
        raise TypeError("dataclass() changes classes of your program only, in restricted code")
    for name in _annotated(cls):
        _check_name(name)
        default = owners.names_of(cls).get(name)
        if isinstance(default, module.Field):
            _check_type(default, module)
    for base in owners.bases_of(cls):
        if owners.is_own_class(base) and _signature_of.__get__(base):
            raise TypeError(f"the docstring of {base.__name__} reads as the signature of a C function")
        for key, field in dict(owners.names_of(base).get("__dataclass_fields__", ())).items():
            _check_type(field, module)
            _check_name(key)
            if type(field.name) is not str or field.name != key:
                raise TypeError("a dataclass field must keep its name")


def _check_type(field: Any, module: ModuleType) -> None:
    if type(field) is not module.Field:
        raise TypeError("a dataclass field must be made by field()")


def _check_name(name: Any) -> None:
    """Refuse what is no plain name, and the names that the decorator's own text uses."""
    if type(name) is not str or not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        raise TypeError(f"Field names must be valid identifiers without two leading underscores: {name!r}")


def _annotated(cls: type) -> Iterable[Any]:
    """Name what a class itself annotates; from 3.14 on annotations are computed when asked for, and may fail."""
    library = sys.modules.get("annotationlib")
    if library is not None:
        return list(library.get_annotations(cls, format=library.Format.FORWARDREF))
    return list(owners.names_of(cls).get("__annotations__", ()))
