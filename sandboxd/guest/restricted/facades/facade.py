"""The facade's type: a module's members without the module."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, NoReturn

from sandboxd.guest.restricted.frozen import Frozen
from sandboxd.guest.restricted.refused import RefusedError


class _About(NamedTuple):
    name: str
    members: List[str]
    hints: Mapping[str, str]
    dynamic: Mapping[str, Callable[[], Any]]


_known: Dict[object, _About] = {}  # facades live as long as the guest


class Facade(Frozen):
    """What restricted code sees of a module. Made by `make` alone.

    Members lie in the instance's own dictionary, where a native load finds them at a module's speed; the property
    hides that dictionary, and with it the only way to change it.
    """

    def __new__(cls) -> Any:
        """Refuse: a facade is what `make` made."""
        raise TypeError("cannot create 'module' instances")

    def __init_subclass__(cls, **_keywords: object) -> NoReturn:
        raise TypeError("type 'module' is not an acceptable base type")

    @property
    def __dict__(self) -> NoReturn:  # type: ignore[override]
        raise AttributeError("__dict__")

    def __getattr__(self, name: str) -> Any:
        """Give a member whose value changes; else say what Python says, and why a member of the real module is not here.

        `__name__` ends here too, on purpose. When `from json import decoder` finds no attribute, Python takes
        `sys.modules[module.__name__ + ".decoder"]`, the raw module, from under any facade. `name_of` tells it instead.
        """
        about = _known[self]
        if name in about.dynamic:
            return about.dynamic[name]()
        text = f"module {about.name!r} has no attribute {name!r}"
        if not name.startswith("_") and hides(self, name):
            raise RefusedError(f"{text} in restricted code; {hint_for(self, name)}")
        raise AttributeError(text)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"module {_known[self].name!r} cannot be changed here (setting {name!r})")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"module {_known[self].name!r} cannot be changed here (deleting {name!r})")

    def __dir__(self) -> List[str]:
        return list(_known[self].members)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("cannot pickle 'module' object")

    def __copy__(self) -> NoReturn:
        raise TypeError("cannot pickle 'module' object")  # what copying a module says

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("cannot pickle 'module' object")

    def __repr__(self) -> str:
        return f"<module {_known[self].name!r} (restricted)>"


def make(
    name: str,
    doc: Any,
    members: Mapping[str, Any],
    hints: Mapping[str, str],
    dynamic: Mapping[str, Callable[[], Any]],
) -> Facade:
    """Make the facade of a module.

    Args:
        name: the module's dotted name.
        doc: its docstring.
        members: what code may use of it, by name.
        hints: for members that it lacks, what to use instead.
        dynamic: what gives a member's value each time.
    """
    facade: Facade = object.__new__(Facade)
    _known[facade] = _About(name, sorted([*members, *dynamic]), hints, dynamic)
    object.__setattr__(facade, "__doc__", doc)
    for member, value in members.items():
        object.__setattr__(facade, member, value)
    return facade


def name_of(facade: Facade) -> str:
    """Tell a facade's `__name__`, for the attribute guard: the facade itself must not (see `Facade.__getattr__`)."""
    return _known[facade].name


def hides(facade: Facade, name: str) -> bool:
    """Tell whether the module itself has a name."""
    return name in vars(sys.modules.get(_known[facade].name, object))


def hint_for(facade: Facade, name: str) -> str:
    """Say what to use instead of a member that a facade lacks."""
    about = _known[facade]
    listed = ", ".join(about.members[:_LISTED]) + (", ..." if len(about.members) > _LISTED else "")
    return about.hints.get(name, f"there are: {listed}")


_LISTED = 40  # members; more would drown the message
