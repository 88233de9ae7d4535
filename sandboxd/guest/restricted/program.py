"""Programs as the compiler makes them (`sandboxd/restrict/program.py`): read, named, run."""

from __future__ import annotations

import marshal
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import Any, Dict, List

from sandboxd.guest.restricted import table

FORMAT = 1
_loads, _eval = marshal.loads, eval


class ProgramError(ValueError):
    """A program has another form, or is of another Python's bytecode."""


def load(program: bytes, filename: str) -> List[CodeType]:
    """Read a program; its code objects take the snippet's name.

    Raises:
        ProgramError: it is none of this guest's.
    """
    try:
        number, magic, *parts = _loads(program)
    except (ValueError, TypeError, EOFError):
        raise ProgramError("the program cannot be read") from None
    if number != FORMAT or magic != MAGIC_NUMBER or any(type(part) is not CodeType for part in parts):
        raise ProgramError("the program was compiled for another guest or another Python")
    return [_named(part, filename) for part in parts]


def prepare(names: Dict[str, Any], builtins: Dict[str, Any]) -> None:
    """Make a namespace one of restricted code, or put back what makes it one."""
    names["__name__"] = "__main__"
    names["__builtins__"] = builtins


def run_program(program: bytes, names: Dict[str, Any], filename: str = "<snippet>") -> Any:
    """Run a program without top-level `await` in a namespace, and give its value. For tests: the guest has its own loop."""
    if "__builtins__" not in names:
        prepare(names, table.make())
    value = None
    for part in load(program, filename):
        value = _eval(part, names)
    return value


def _named(code: CodeType, filename: str) -> CodeType:
    constants = tuple(_named(one, filename) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_filename=filename, co_consts=constants)
