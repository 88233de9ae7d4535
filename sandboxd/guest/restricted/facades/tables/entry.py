"""The form of the table's rows."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Callable, Mapping, NamedTuple


class Entry(NamedTuple):
    """One module.

    Lists are words in a string; a name that a Python version lacks is left out there.
    """

    members: str = ""  # handed out as they are; a list, dict or set as a copy
    sealed: str = ""  # classes that cannot be derived from
    wrapped: Mapping[str, Callable[[ModuleType], Any]] = {}  # what makes the guarded version of a member
    dynamic: Mapping[
        str, Callable[[ModuleType], Any]
    ] = {}  # what gives a member's value each time it is asked for
    children: str = ""  # submodules, as facades
    implicit: str = ""  # modules that its C code or functions import when called: loaded with it
    hints: Mapping[str, str] = {}  # for those who ask for what is left out: what to use instead
