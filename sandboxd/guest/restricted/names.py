"""Which attribute names lead somewhere: the compiler's tables (`sandboxd/restrict/names.py`), for names made at run time.

The two cannot be one module: the compiler runs in the screener and the guards in the jail, and neither may import the
other's package. A test holds them together.
"""

from __future__ import annotations

import sys

PLAIN = ""
PRIVATE = "private"
LABEL = "label"
METHOD = "method"
FORMAT = "format"
OBJECT = "object"
ERROR = "error"
REFUSED = "refused"

LABELS = frozenset(("__name__", "__qualname__", "__doc__", "__module__"))
ERRORS = frozenset(("__cause__", "__context__", "__suppress_context__", "__notes__"))
FORMATS = frozenset(("format", "format_map"))

_BINARY = (
    "add sub mul matmul truediv floordiv mod pow lshift rshift and xor or"  # each also reflected and in place
)
_OTHERS = (
    "divmod rdivmod lt le eq ne gt ge neg pos abs invert init post_init repr str bytes format hash bool len length_hint "
    "getitem setitem delitem missing iter next reversed contains call complex int float index round trunc floor ceil "
    "enter exit await aiter anext aenter aexit get set delete copy deepcopy fspath"
)
METHODS = frozenset(
    [f"__{prefix}{name}__" for name in _BINARY.split() for prefix in ("", "r", "i")]
    + [f"__{name}__" for name in _OTHERS.split()]
)

_PREFIXES = ("ag_", "co_", "cr_", "gi_", "tb_")
REFUSED_NAMES = frozenset((
    "f_back", "f_builtins", "f_code", "f_generator", "f_globals", "f_lasti", "f_lineno", "f_locals", "f_trace",
    "func_code", "func_globals", "func_closure", "func_defaults", "im_class", "im_func", "im_self",
    "get_field", "vformat",
    "get_loop", "get_stack", "print_stack",
    "evaluate_bound", "evaluate_constraints", "evaluate_default", "evaluate_value",
    "mro",
))  # fmt: skip
if sys.version_info >= (3, 14):
    REFUSED_NAMES |= {"evaluate"}


def kind_of(name: str) -> str:
    """Classify an attribute's name.

    Args:
        name: an exact `str`: the methods of a subclass are the program's.
    """
    if name.startswith("_"):
        return _underscored(name)
    if name in FORMATS:
        return FORMAT
    if name in REFUSED_NAMES or name.startswith(_PREFIXES) or name.endswith("__roles__"):
        return REFUSED
    return OBJECT if name == "obj" else PLAIN


def _underscored(name: str) -> str:
    if name in LABELS:
        return LABEL
    if name in METHODS:
        return METHOD
    if name in ERRORS:
        return ERROR
    return REFUSED if name.startswith("__") or name.endswith("__roles__") else PRIVATE
