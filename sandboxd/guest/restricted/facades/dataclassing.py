"""`dataclasses.dataclass` without the ways to make it run text.

The decorator writes source with the fields' names in it and executes that. It takes names from annotations, which the
compiler has checked, and from `Field` objects, whose `name` is an attribute like any other, or a property of a `Field`
subclass (`type(field())` is one to derive from). It gets these by `getattr` on the class, so from whatever a descriptor
answers. For a class without a docstring it asks for the signature, which reads a base's docstring as a C signature, and in
it any dotted name through all loaded modules.

What is checked here must be what the decorator finds a moment later. So nothing of the program's may run in between: no
descriptor as a default, no truth value of an object, no mapping but a dictionary.
"""

from __future__ import annotations

import keyword
import sys
from types import FunctionType, MemberDescriptorType, ModuleType
from typing import Any, Iterable, Optional

from sandboxd.guest.restricted import owners
from sandboxd.guest.restricted.facades.guards import adopt
from sandboxd.guest.restricted.frozen import FrozenCallable, frozen_callable
from sandboxd.guest.restricted.patterns import check_patterns

_signature_of: Any = type.__dict__["__text_signature__"]
_KEPT = (FunctionType, property, MemberDescriptorType)  # descriptors that a class gives as themselves


def dataclass(module: ModuleType) -> FrozenCallable:
    """Make `dataclasses.dataclass` for the program's own classes."""

    def dataclass(cls: Optional[type] = None, /, **options: Any) -> Any:
        """Add dunder methods based on the fields defined in the class."""
        flags = {name: bool(given) for name, given in options.items()}

        def decorate(cls: type) -> type:
            _check(cls, module)
            made: type = module.dataclass(cls, **flags)
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
        _check_default(_class_attribute(cls, name), module)
    for base in owners.bases_of(cls):
        if owners.is_own_class(base) and _signature_of.__get__(base):
            raise TypeError(f"the docstring of {base.__name__} reads as the signature of a C function")
        fields = owners.names_of(base).get("__dataclass_fields__", {})
        if type(fields) is not dict:
            raise TypeError("a dataclass keeps its fields in a dictionary")
        for key, field in fields.items():
            _check_name(key)
            _check_field(field, module)
            if type(field.name) is not str or field.name != key:
                raise TypeError("a dataclass field must keep its name")


def _class_attribute(cls: type, name: str) -> Any:
    """Find what `getattr(cls, name)` starts from, without asking any descriptor."""
    for base in owners.bases_of(cls):
        if name in owners.names_of(base):
            return owners.names_of(base)[name]
    return None


def _check_default(default: Any, module: ModuleType) -> None:
    """Refuse a default that answers for itself when the decorator looks for it (staticmethod gives what it wraps)."""
    kind = type(default)
    if any("__get__" in owners.names_of(base) for base in owners.bases_of(kind)) and kind not in _KEPT:
        raise TypeError("the default of a dataclass field must not be a descriptor in restricted code")
    if any(
        "__class__" in owners.names_of(base) for base in owners.bases_of(kind) if owners.is_own_class(base)
    ):
        raise TypeError("the default of a dataclass field must not hide its class")
    if isinstance(default, module.Field):
        _check_field(default, module)


def _check_field(field: Any, module: ModuleType) -> None:
    if type(field) is not module.Field:
        raise TypeError("a dataclass field must be made by field()")
    for flag in (field.init, field.repr, field.compare, field.hash, field.kw_only):
        if type(flag) is not bool and flag is not None and flag is not module.MISSING:
            raise TypeError("the flags of field() must be True or False in restricted code")


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
