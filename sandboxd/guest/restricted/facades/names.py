"""Attribute names that no restricted code may load, whatever object they are asked of.

Library objects behind facades answer to these with more than they should. The attribute guard and the compiler's choice
between native and guarded loads must both refuse them; the facades' own guard does too.
"""

from __future__ import annotations

# Frames, code, generators and coroutines lead to globals (CVE-2023-37271); the families grow with each Python, so by prefix.
_PREFIXES = ("_", "ag_", "co_", "cr_", "gi_", "tb_")

REFUSED = frozenset((
    # frames: the names without a family of their own
    "f_back", "f_builtins", "f_code", "f_generator", "f_globals", "f_lasti", "f_lineno", "f_locals", "f_trace",
    # asyncio: a task tells its event loop, which starts processes, and its stack, which is frames
    "get_loop", "get_stack", "print_stack",
    # type.mro shows the chain of bases that ends in `object`, and its subclasses
    "mro",
))  # fmt: skip


def is_refused(name: str) -> bool:
    """Tell whether a plain attribute load of this name is refused on every object.

    Args:
        name: an exact `str`; a subclass could answer `startswith` as it likes.
    """
    return name.startswith(_PREFIXES) or name in REFUSED
