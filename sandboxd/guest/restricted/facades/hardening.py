"""What library code does for its callers on what they say, made harmless in the library itself.

Changed where it is, once, because other modules call it too (`dataclasses.asdict` copies its values).
"""

from __future__ import annotations

import copy
from typing import Any, Callable

_reconstruct: Callable[..., Any] = copy._reconstruct  # type: ignore[attr-defined]  # noqa: SLF001


def harden() -> None:
    """Make copying fill only new objects of the copied one's own class.

    `copy` asks an object for `__reduce_ex__`, on the instance, calls what it names, and sets the attributes it lists on
    what comes back. `types.SimpleNamespace` takes any attribute names; so its `__reduce_ex__` could be a program's
    function, and copying it would set any attribute of any object: `setattr` without a guard.
    """
    copy._reconstruct = _reconstruct_same  # type: ignore[attr-defined]  # noqa: SLF001


def _reconstruct_same(original: Any, memo: Any, function: Any, *rest: Any, **options: Any) -> Any:
    def make(*args: Any) -> Any:
        made = function(*args)
        if type(made) is not type(original):
            raise TypeError(f"copying a {type(original).__name__!r} object made a {type(made).__name__!r}")
        return made

    return _reconstruct(original, memo, make, *rest, **options)
