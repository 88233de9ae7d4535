"""`copy` for restricted code: it fills new objects of the copied one's own class, and tells nobody what libraries keep.

Copying works for its caller past every guard. `copy` asks an object for `__reduce_ex__`, on the instance, calls what it
names, and sets the attributes it lists on what comes back. `types.SimpleNamespace` takes any attribute names; so its
`__reduce_ex__` could be a program's function, and copying it `setattr` without a guard. What is copied on the way goes by
the program's `__deepcopy__` and its memo, which keeps every original that was met.
"""

from __future__ import annotations

import builtins
import copy
from typing import Any, Callable, FrozenSet

from sandboxd.guest.restricted import owners

_reconstruct: Callable[..., Any] = copy._reconstruct  # type: ignore[attr-defined]  # noqa: SLF001

# Of these every class keeps what leads out: an event loop, `sys`, the path of a file that it removes.
_CLOSED: FrozenSet[str] = frozenset((
    "asyncio", "_asyncio", "contextlib", "concurrent", "importlib", "logging", "os", "sandboxd", "selectors", "socket",
    "subprocess", "tempfile", "threading", "weakref",
))  # fmt: skip


def reconstruct(original: Any, memo: Any, function: Any, args: Any, *rest: Any, **options: Any) -> Any:
    """Do what `copy._reconstruct` does, for an object that a program may have a copy of.

    Raises:
        TypeError: it is not such an object, or the copy is of another class.
    """
    kind = type(original)
    # `[].__len__` is copied as `getattr([], "__len__")`, of what the program has put in the list's and the name's places.
    if function is builtins.getattr or _is_closed(kind):
        raise TypeError(f"cannot pickle {kind.__name__!r} object in restricted code")

    def make(*args: Any) -> Any:
        made = function(*args)
        if type(made) is not kind:
            raise TypeError(f"copying a {kind.__name__!r} object made a {type(made).__name__!r}")
        return made

    if rest:
        rest = (_detached(rest[0]), *rest[1:])
        options["deepcopy"] = _deepcopy_for(rest[0])
    return _reconstruct(original, memo, make, args, *rest, **options)


def _deepcopy_for(state: Any) -> Callable[[Any, Any], Any]:
    def deepcopy(value: Any, memo: Any) -> Any:
        made = copy.deepcopy(value, memo)
        if value is state:
            _check_alike(state, made)
        return made

    return deepcopy


def _check_alike(state: Any, made: Any) -> None:
    """Refuse a state that the program's memo gave in place of the copy: `__class__` in it makes the object another."""
    if type(made) is not type(state):
        raise TypeError(f"copying a state of {type(state).__name__!r} made a {type(made).__name__!r}")
    if type(state) is tuple:
        if len(state) != len(made):
            raise TypeError("copying a state made one of another length")
        for before, after in zip(state, made):
            _check_alike(before, after)
    elif type(state) is dict:
        for name in made:
            if isinstance(name, str) and (type(name) is not str or (name[:2] == "__" and name not in state)):
                raise TypeError(f"copying made an attribute {name!r}")


def _is_closed(kind: type) -> bool:
    """Tell a class whose instances' state is nobody's to see; what an own object holds is asked when its turn comes."""
    home = owners.home_of(kind) if not owners.is_own_class(kind) else ""
    return home.partition(".")[0] in _CLOSED


def _detached(state: Any) -> Any:
    """Give a state that is no object's dictionary: the memo would keep the original's, a way to its every name."""
    if type(state) is dict:
        return dict(state)
    if not isinstance(state, tuple):
        return state
    if type(state) is not tuple:
        raise TypeError("the state of a copied object must be a plain tuple")
    if len(state) == len(("attributes", "slots")):
        _check_slots(state[1])
    return tuple(_detached(part) for part in state)


def _check_slots(slots: Any) -> None:
    """Refuse what `setattr` would set by a name of Python's own: `__class__`."""
    if type(slots) is dict:
        if any(isinstance(name, str) and (type(name) is not str or name[:2] == "__") for name in slots):
            raise TypeError("the slots of a copied object have names of Python's own")
    elif hasattr(slots, "items"):
        raise TypeError("the slots of a copied object must be in a plain dictionary")
