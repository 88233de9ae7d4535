"""Module facades: what restricted code gets where it says `import`.

A raw module is a door. Of 43 standard modules that people take for harmless, 17 lead to `os`, `sys` or `builtins` by public
attributes alone (`random._os`, `statistics.sys`, `enum.bltns`, `json.codecs.open`), and every one can be changed for all
that comes after (`json.dumps = evil`). A facade is an object of its own with the members that `tables` lists for it, and
nothing else: immutable, and with no way back to its module. Attribute loads on it need no guard for that reason, and
`from module import name`, which Python does as a plain load that no guard sees, is safe by construction.

What a member does on a caller's behalf is the other half. No guard sees an attribute that a library reads for its caller,
so each member was asked: does it return or carry a module, frame, code object, loader or event loop; does it take a string
that names attributes, code or files; does it change what belongs to others? Those that do are left out, or come back as
guarded versions of the same behaviour (`attributes`, `decorators`, `dataclassing`, `sealed`, `system`). The walk in
tests/unit/guest/test_facade_reach.py repeats the first question for every member, on every Python there is.

No reference from a facade leads to a module, with these remainders, which the attribute guard has to close: dunder names of
functions and classes (`__globals__`, `__self__`), underscored names of library classes also on subclasses that a program
made (`enum.Enum._convert_` copies any module), and the names in `names.REFUSED`.
"""

from __future__ import annotations

from sandboxd.guest.restricted.facades.facade import Facade, hides, name_of
from sandboxd.guest.restricted.facades.guards import connect
from sandboxd.guest.restricted.facades.loader import NAMES, check_from, confine_imports, load
from sandboxd.guest.restricted.facades.names import is_refused
from sandboxd.guest.restricted.frozen import frozen_callable

__all__ = (
    "NAMES",
    "Facade",
    "check_from",
    "confine_imports",
    "connect",
    "frozen_callable",
    "hides",
    "is_refused",
    "load",
    "name_of",
)
