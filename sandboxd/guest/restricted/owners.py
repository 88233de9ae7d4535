"""Whose an object is: the program's own classes, their instances and its functions, or everybody's.

A class of the program says so by its `__module__`: Python writes it there from the globals of the code that makes the class,
also when a library makes it on the program's behalf (`dataclass(slots=True)`, `namedtuple`, a functional enum), and neither
compiler nor guards let a program write it. All questions here are asked of types by their own descriptors: what an object
says of itself is the program's to forge.
"""

from __future__ import annotations

from types import FunctionType, GenericAlias
from typing import Any, Mapping, Set, Tuple

MAIN = "__main__"

_dict_of: Any = type.__dict__["__dict__"].__get__
_mro_of: Any = type.__dict__["__mro__"].__get__
_module_of: Any = type.__dict__["__module__"].__get__
_globals_of: Any = FunctionType.__dict__["__globals__"].__get__

_PROXIES = (super, GenericAlias)  # those that answer in C

# Classes known as the program's own. They stay for the session's life; a class is seldom made in a loop.
_own: Set[type] = set()

OPEN: Set[type] = set()
"""Those of them with no base of a library's, as far as it was asked: their instances' private names are the program's."""


def is_class(value: object) -> bool:
    """Tell a class, whatever its `__class__` says."""
    return issubclass(type(value), type)


def is_own_class(cls: type) -> bool:
    """Tell a class of the program's."""
    if cls in _own:
        return True
    module = _dict_of(cls).get("__module__")
    if type(module) is str and module == MAIN:
        _own.add(cls)
        return True
    return False


def adopt(cls: type) -> None:
    """Make a class the program's own: a library made it in place of one that is."""
    _own.add(cls)


def is_own_function(value: object) -> bool:
    """Tell a function of the program's: nothing can give a function other globals."""
    return type(value) is FunctionType and _globals_of(value).get("__name__") == MAIN


def names_of(cls: type) -> Mapping[str, Any]:
    """Give a class's own dictionary, past its metaclass."""
    found: Mapping[str, Any] = _dict_of(cls)
    return found


def bases_of(cls: type) -> Tuple[type, ...]:
    """Give a class and its bases in the order of lookup, past its metaclass."""
    found: Tuple[type, ...] = _mro_of(cls)
    return found


def home_of(cls: type) -> str:
    """Name the module that a class says it is of: one in C may say so past its dictionary."""
    return str(_module_of(cls))


def opens_private(cls: type, name: str) -> bool:
    """Tell whether a private name of an own class, or of its instances, is the program's to use.

    A library's base class has private names of its own (`enum.Enum._convert_` copies any module into itself): what
    such a class defines is closed also on the program's subclass of it.
    """
    for base in bases_of(cls):
        if name in names_of(base):
            return is_own_class(base)
        if _is_proxy(base):
            return False
    return True  # on the instance itself, or nowhere: then Python's own AttributeError follows


def is_proxy(cls: type) -> bool:
    """Tell a class whose instances answer with the attributes of another object, which may be anybody's."""
    return any(map(_is_proxy, bases_of(cls)))


def _is_proxy(base: type) -> bool:
    # `class G(type(list[int]))`: G(queue, ())._get_loop is the queue's. No program's class defines __getattr__.
    return base in _PROXIES or ("__getattr__" in names_of(base) and not is_own_class(base))


def opens(cls: type, name: str) -> bool:
    """Tell whether instances of a class open a private name to the program."""
    if cls in OPEN:
        return True
    if not is_own_class(cls):
        return False
    if all(base is object or is_own_class(base) for base in bases_of(cls)):
        OPEN.add(cls)
        return True
    return opens_private(cls, name)
