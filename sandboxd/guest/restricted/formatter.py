"""`str.format` and `str.format_map` with each attribute link through the guard.

"{0.__class__}".format(x) walks attributes in C by what a string says, where no guard sees it (CVE-2023-41039). A template
without attribute links is left to Python: items and nested specs do what the same expression in the code would. One with
them, or one that does not parse, is worked off here, step by step as Objects/stringlib/unicode_format.h does it; the parsing
is Python's own, by `_string`, so both read the same fields.

`format(value, spec)` and f-strings need nothing: their specs are not templates, and the fields of an f-string are code. Nor
does `%`: it looks up names with `[]` alone, and calls what `str()`, `repr()` and `int()` would.
"""

from __future__ import annotations

import functools
from _string import (  # type: ignore[import-not-found]  # what string.Formatter rests on, without string
    formatter_field_name_split,
    formatter_parser,
)
from types import BuiltinMethodType, MethodDescriptorType
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from sandboxd.guest.restricted.frozen import Frozen, refuse_base, take_slot

Guard = Callable[[Any, str], Any]

NAMES = frozenset(("format", "format_map"))  # the attribute names to ask `safe_method` for

_LEVELS = 2  # a field's spec may have fields, theirs may not
_CONVERSIONS: Dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}
_AUTO, _MANUAL = "automatic field numbering", "manual field specification"
_CACHED_CHARACTERS = 1000  # longer templates are no constants, and would fill the cache


def safe_method(receiver: Any, name: str, getattr_guard: Guard) -> Any:
    """Load `format` or `format_map` from any object, as `getattr` does, but never the real ones of `str`.

    Decided by what the load gives and not by the receiver: `str` subclasses, `super()`, classes and instances that
    define the name themselves all come out as in Python.

    Args:
        receiver: any object.
        name: one of `NAMES`.
        getattr_guard: what loads an attribute for a template.

    Raises:
        AttributeError: there is none.
    """
    value = getattr(receiver, name)
    if type(value) is BuiltinMethodType and value.__name__ in NAMES and isinstance(value.__self__, str):
        if not _has_links(str.__str__(value.__self__)):
            return (
                value  # bound to a text that never changes, and has no links to follow whatever it is given
            )
        return _bind(value.__self__, value.__name__, getattr_guard)
    if type(value) is MethodDescriptorType and value.__objclass__ is str and value.__name__ in NAMES:
        return _unbound(value.__name__, getattr_guard)
    return value


def format_string(
    template: str, args: Optional[Tuple[Any, ...]], kwargs: Mapping[str, Any], getattr_guard: Guard
) -> str:
    """Do what `str.format` does, or with `args` None `str.format_map`.

    Args:
        template: the receiver; of a subclass the characters count, as in Python.
        args: the positional arguments.
        kwargs: the named ones, or the mapping.
        getattr_guard: loads an attribute or refuses.

    Raises:
        AttributeError: a link's name is refused or missing.
        IndexError: there is no such argument.
        KeyError: likewise, by name.
        ValueError: the template does not parse.
    """
    text = str.__str__(template)
    if _has_links(text):
        return _Expansion(args, kwargs, getattr_guard).expand(text, _LEVELS)
    return str.format_map(text, kwargs) if args is None else str.format(text, *args, **kwargs)


def _has_links(text: str) -> bool:
    return _walks_cached(text) if len(text) <= _CACHED_CHARACTERS else _walks(text)


def _walks(text: str) -> bool:
    """Tell whether a template has attribute links. One that ends in an error counts: the links before that are followed."""
    try:
        return any(
            field is not None and ("." in field or ("{" in spec and _walks(spec)))
            for _, field, spec, _ in formatter_parser(text)
        )
    except ValueError:
        return True


_walks_cached = functools.lru_cache(maxsize=256)(_walks)


class _Expansion:
    """One call: its arguments, and how its fields are numbered."""

    __slots__ = ("_args", "_guard", "_kwargs", "_next", "_numbering")

    def __init__(
        self, args: Optional[Tuple[Any, ...]], kwargs: Mapping[str, Any], getattr_guard: Guard
    ) -> None:
        self._args = args
        self._kwargs = kwargs
        self._guard = getattr_guard
        self._next = 0
        self._numbering: Optional[str] = None

    def expand(self, text: str, levels: int) -> str:
        """Replace the fields of a template."""
        if not levels:
            raise ValueError("Max string recursion exceeded")
        parts: List[str] = []
        for literal, field, spec, conversion in formatter_parser(text):
            parts.append(literal)
            if field is not None:
                value = _convert(self._value(field), conversion)
                parts.append(format(value, self.expand(spec, levels - 1) if "{" in spec else spec))
        return "".join(parts)

    def _value(self, field: str) -> Any:
        first, links = formatter_field_name_split(field)
        value = self._argument(first)
        for is_attribute, key in links:
            value = self._guard(value, key) if is_attribute else value[key]
        return value

    def _argument(self, first: Any) -> Any:
        if type(first) is str and first:
            return self._kwargs[first]
        index = self._number(first)
        if self._args is None:
            raise ValueError("Format string contains positional fields")
        if index >= len(self._args):
            raise IndexError(f"Replacement index {index} out of range for positional args tuple")
        return self._args[index]

    def _number(self, first: Any) -> int:
        """Give the index of a positional field: its own, or the next."""
        kind = _AUTO if first == "" else _MANUAL
        if self._numbering not in (None, kind):
            raise ValueError(f"cannot switch from {self._numbering} to {kind}")
        self._numbering = kind
        if kind is _MANUAL:
            return int(first)
        self._next += 1
        return self._next - 1


def _convert(value: Any, conversion: Optional[str]) -> Any:
    if conversion is None:
        return value
    if conversion not in _CONVERSIONS:
        shown = conversion if " " < conversion < "\x7f" else f"\\x{ord(conversion):x}"
        raise ValueError(f"Unknown conversion specifier {shown}")
    return _CONVERSIONS[conversion](value)


class _Method(Frozen):
    """A safe method bound to its string, in place of a built-in one."""

    __slots__ = ("_guard", "_name", "_string")
    __init_subclass__ = refuse_base

    def __call__(self, /, *args: Any, **kwargs: Any) -> str:
        """Format the string."""
        return _call(_name.__get__(self), _string.__get__(self), args, kwargs, _guard.__get__(self))

    @property
    def __name__(self) -> str:
        return str(_name.__get__(self))

    def __repr__(self) -> str:
        return f"<built-in method {self.__name__} of {type(_string.__get__(self)).__name__} object>"


class _Unbound(Frozen):
    """The same, taken from the class: the string comes with the call. As an attribute of a `str` subclass it binds."""

    __slots__ = ("_guard", "_name")
    __init_subclass__ = refuse_base

    def __call__(self, /, *args: Any, **kwargs: Any) -> str:
        """Format the first argument."""
        name, guard = _unbound_name.__get__(self), _unbound_guard.__get__(self)
        if not args:
            raise TypeError(f"unbound method str.{name}() needs an argument")
        if not isinstance(args[0], str):
            raise TypeError(
                f"descriptor {name!r} for 'str' objects doesn't apply to a {type(args[0]).__name__!r} object"
            )
        return _call(name, args[0], args[1:], kwargs, guard)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        if not isinstance(instance, str):
            raise TypeError(
                f"descriptor {self.__name__!r} for 'str' objects doesn't apply to a {type(instance).__name__!r} object"
            )
        return _bind(instance, self.__name__, _unbound_guard.__get__(self))

    @property
    def __name__(self) -> str:
        return str(_unbound_name.__get__(self))

    def __repr__(self) -> str:
        return f"<method {self.__name__!r} of 'str' objects>"


def _call(name: str, string: str, args: Tuple[Any, ...], kwargs: Mapping[str, Any], guard: Guard) -> str:
    if name == "format":
        return format_string(string, args, kwargs, guard)
    if kwargs:
        raise TypeError("str.format_map() takes no keyword arguments")
    if len(args) != 1:
        raise TypeError(f"str.format_map() takes exactly one argument ({len(args)} given)")
    return format_string(string, None, args[0], guard)


def _bind(string: str, name: str, guard: Guard) -> _Method:
    method = object.__new__(_Method)
    _string.__set__(method, string)
    _name.__set__(method, name)
    _guard.__set__(method, guard)
    return method


def _unbound(name: str, guard: Guard) -> _Unbound:
    method = object.__new__(_Unbound)
    _unbound_name.__set__(method, name)
    _unbound_guard.__set__(method, guard)
    return method


_string, _name, _guard = (take_slot(_Method, slot) for slot in ("_string", "_name", "_guard"))
_unbound_name, _unbound_guard = (take_slot(_Unbound, slot) for slot in ("_name", "_guard"))
