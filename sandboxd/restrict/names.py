"""Which names of attributes lead somewhere. The guest's guards decide by the same tables (tests hold them together)."""

from __future__ import annotations

import sys
from enum import Enum


class Kind(Enum):
    """What an attribute's name demands of a load; the value is the hook's name behind `guard.`."""

    PLAIN = ""
    PRIVATE = "private"
    LABEL = "label"
    METHOD = "method"
    FORMAT = "format"
    OBJECT = "object"
    ERROR = "error"
    REFUSED = "refused"


LABELS = frozenset({"__name__", "__qualname__", "__doc__", "__module__"})
ERRORS = frozenset({"__cause__", "__context__", "__suppress_context__", "__notes__"})
FORMATS = frozenset({"format", "format_map"})

_BINARY = (
    "add sub mul matmul truediv floordiv mod pow lshift rshift and xor or"  # each also reflected and in place
)
_OTHERS = (
    "divmod rdivmod lt le eq ne gt ge neg pos abs invert init post_init repr str bytes format hash bool len length_hint "
    "getitem setitem delitem missing iter next reversed contains call complex int float index round trunc floor ceil "
    "enter exit await aiter anext aenter aexit get set delete copy deepcopy fspath"
)
# What a program may define on its classes, and call by name. Not among them, on purpose: __del__ runs at a time of its
# own choosing; __new__, __init_subclass__, __set_name__, __class_getitem__, __prepare__ and __reduce__ run in the midst of
# what a library does; __getattr__, __getattribute__ and __setattr__ answer in place of the attribute that a guard allowed;
# __instancecheck__ and __subclasshook__ make strangers match a class pattern, which then reads their attributes.
METHODS = frozenset(
    [f"__{prefix}{name}__" for name in _BINARY.split() for prefix in ("", "r", "i")]
    + [f"__{name}__" for name in _OTHERS.split()]
)

# Frames, code, generators and coroutines lead to globals (CVE-2023-37271); each Python adds some, so by prefix.
_PREFIXES = ("ag_", "co_", "cr_", "gi_", "tb_")
REFUSED = frozenset(
    {
        "f_back", "f_builtins", "f_code", "f_generator", "f_globals", "f_lasti", "f_lineno", "f_locals", "f_trace",
        # Python 2's spelling of the same
        "func_code", "func_globals", "func_closure", "func_defaults", "im_class", "im_func", "im_self",
        # string.Formatter walks attributes by a string (CVE-2023-41039, CVE-2026-76825)
        "get_field", "vformat",
        # a task of asyncio tells its event loop, which starts processes, and its stack, which is frames
        "get_loop", "get_stack", "print_stack",
        # type parameters evaluate text
        "evaluate_bound", "evaluate_constraints", "evaluate_default", "evaluate_value",
        # the chain of bases ends in `object` and its subclasses
        "mro",
    }
)  # fmt: skip

# Forward references evaluate text, and from 3.14 on `dataclasses.fields` hands them out. Before, it is what models call the
# method of a class that evaluates.
if sys.version_info >= (3, 14):
    REFUSED |= {"evaluate"}

# RestrictedPython's own hooks. They mean nothing here; a program that names one means no good.
RESERVED = frozenset(
    {
        "_apply_", "_getattr_", "_getitem_", "_getiter_", "_inplacevar_", "_iter_unpack_sequence_", "_print", "_print_",
        "_unpack_sequence_", "_write_",
    }
)  # fmt: skip

# Dunder names that a program may set at the top of its text, and read; and those that it may only read.
BOOKKEEPING = frozenset(
    {
        "__all__", "__author__", "__contact__", "__copyright__", "__credits__", "__date__", "__doc__", "__email__",
        "__license__", "__maintainer__", "__status__", "__version__",
    }
)  # fmt: skip
READABLE = BOOKKEEPING | {"__name__", "__debug__"}
# Set in a class body, beside the methods. What a class pattern reads comes from __match_args__: only literals, checked.
CLASS_FACTS = frozenset({"__slots__", "__doc__", "__match_args__"})

ABSENT_BUILTINS = {
    "__import__": "Use an import statement.",
    "breakpoint": "Remove it: nobody debugs here.",
    "compile": "Write the code out.",
    "copyright": "Remove it.",
    "credits": "Remove it.",
    "eval": "Write the expression out; for plain data use json.loads.",
    "exec": "Write the code out.",
    "exit": "Let the program run to its end.",
    "globals": "Keep the values in a dict of your own.",
    "help": "Remove it: nobody reads it here.",
    "input": "Write the values into the code: nobody can type here.",
    "license": "Remove it.",
    "locals": "Keep the values in a dict of your own.",
    "quit": "Let the program run to its end.",
    "vars": "Read the attributes by name.",
}


def is_dunder(name: str) -> bool:
    """Tell a name with two underscores at both ends."""
    return name.startswith("__") and name.endswith("__") and len(name) > len("____")


def kind_of(name: str) -> Kind:
    """Classify an attribute's name, as it is after mangling."""
    if name.startswith("_"):
        return _underscored(name)
    if name in FORMATS:
        return Kind.FORMAT
    if name in REFUSED or name.startswith(_PREFIXES) or name.endswith("__roles__"):
        return Kind.REFUSED
    # AttributeError.obj is the object behind a proxy (CVE-2024-47532).
    return Kind.OBJECT if name == "obj" else Kind.PLAIN


def _underscored(name: str) -> Kind:
    if name in LABELS:
        return Kind.LABEL
    if name in METHODS:
        return Kind.METHOD
    if name in ERRORS:
        return Kind.ERROR
    return Kind.REFUSED if name.startswith("__") or name.endswith("__roles__") else Kind.PRIVATE


def mangled(name: str, class_name: str) -> str:
    """Give a name as the compiler does within a class (`_Py_Mangle`)."""
    owner = class_name.lstrip("_")
    if not owner or not name.startswith("__") or name.endswith("__") or "." in name:
        return name
    return f"_{owner}{name}"
