"""Reading the program that a command is to run or check."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path

from sandboxd.errors import Code, SandboxdError

# The daemon has its own, lower limit; this one only keeps a wrong file name from filling memory.
_MAX_BYTES = 16 << 20


def read_program(name: str) -> str:
    """Read a file, or standard input for "-".

    Raises:
        SandboxdError: INVALID_REQUEST.
    """
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise SandboxdError(Code.INVALID_REQUEST, f"{name} is no program: it is larger than 16 MiB.")
        # Python reads a file past the mark that some editors put first; inside a text it hides, and the screen refuses it.
        return raw.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except OSError as error:
        raise SandboxdError(Code.INVALID_REQUEST, f"{name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SandboxdError(
            Code.INVALID_REQUEST,
            f"{name} is not UTF-8 text (byte {error.start}).",
            remedy="Programs are Python source in UTF-8.",
        ) from error
