"""Library functions that go by what a program's object says of itself, made to ask Python instead.

Each hands what it found to the program, or reads a file by its name. Changed in the library, when a facade is made of it.
"""

from __future__ import annotations

import functools
import traceback
from types import ModuleType, TracebackType
from typing import Any, Callable, Dict, NoReturn

from sandboxd.guest.restricted import owners

_FIELDS = "__dataclass_fields__"


def confine_library(module: ModuleType) -> None:
    """Change what must be of a module; again is no harm."""
    change = _CHANGES.get(module.__name__)
    if change is not None:
        change(module)


def confine_tracebacks() -> None:
    """Let no traceback be formatted that is none: an object with `tb_frame` names any file, whose lines are read.

    The members of an ExceptionGroup's subclass are what its `exceptions` says, and need not be exceptions.
    """
    _wrap(traceback.TracebackException, "__init__", _of_real_traces)


def _of_real_traces(init: Callable[..., None]) -> Callable[..., None]:
    def of_real_traces(self: Any, kind: Any, value: Any, trace: Any, **options: Any) -> None:
        init(self, kind, value, trace if type(trace) is TracebackType else None, **options)

    return of_real_traces


def _numbers_alone(module: ModuleType) -> None:
    """Let `mean([C])` convert nothing to the class of a class: `ABCMeta` came back, of what `C` answered in between."""
    _wrap(module, "_coerce", _of_numbers)


def _of_numbers(coerce: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def of_numbers(first: Any, second: Any) -> Any:
        if issubclass(first, type) or issubclass(second, type):
            raise TypeError("statistics are of numbers, not of classes, in restricted code")
        return coerce(first, second)

    return of_numbers


def _no_subset(module: ModuleType) -> None:
    """Close what HTML never uses: it calls the method of a name that `_scan_name` gives, and a subclass gives any."""
    for cls in owners.bases_of(module.HTMLParser):
        if "_parse_doctype_subset" in owners.names_of(cls):
            type.__setattr__(cls, "_parse_doctype_subset", _refuse)


def _refuse(*_arguments: object) -> NoReturn:
    raise TypeError("the declarations of a document's type are not available in restricted code")


def _own_fields(module: ModuleType) -> None:
    """Read a dataclass's fields of its class: an instance's attribute of that name could list any other to read."""
    for name in ("_is_dataclass_instance", "fields", "_replace"):
        if hasattr(module, name):
            _wrap(module, name, _by_class)


def _by_class(function: Callable[..., Any]) -> Callable[..., Any]:
    def by_class(value: Any, *rest: Any, **options: Any) -> Any:
        kind = type(value)
        if not owners.is_class(value) and owners.is_own_class(kind):
            missing = object()
            if getattr(value, _FIELDS, missing) is not getattr(kind, _FIELDS, missing):
                raise TypeError("an instance cannot have fields of its own in restricted code")
        return function(value, *rest, **options)

    return by_class


def _real_futures(module: ModuleType) -> None:
    """Let no other object pass for a future: `gather` asks it for its loop, and gives that the call stack."""
    _wrap(module.futures, "isfuture", _is_real)
    module.isfuture = module.futures.isfuture  # type: ignore[attr-defined]


def _is_real(isfuture: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def is_real(obj: Any) -> bool:
        named = (getattr(base, "__name__", "") for base in owners.bases_of(type(obj)) if _is_of_asyncio(base))
        return "Future" in named and isfuture(obj)

    return is_real


def _is_of_asyncio(cls: type) -> bool:
    return owners.home_of(cls) in ("_asyncio", "asyncio.futures")  # nobody else can say so


def _wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    real = getattr(owner, name)
    if not hasattr(real, "__wrapped__"):
        setattr(owner, name, functools.wraps(real)(make(real)))


_CHANGES: Dict[str, Callable[[ModuleType], None]] = {
    "asyncio": _real_futures,
    "dataclasses": _own_fields,
    "html.parser": _no_subset,
    "statistics": _numbers_alone,
}
