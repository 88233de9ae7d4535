"""Facts about an interpreter, asked of the interpreter itself.

`-I -S` is how the jail starts it, so what it answers then is what the jail needs: no site, no user directory,
nothing from PYTHON* variables.
"""

from __future__ import annotations

import functools
import json
import subprocess
from dataclasses import dataclass

from sandboxd.errors import Code, SandboxdError

_TIMEOUT_SECONDS = 60.0
_QUESTION = """
import json, os, sys
print(json.dumps({
    "python": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "base_prefix": os.path.realpath(sys.base_prefix),
    "version": "%d.%d" % sys.version_info[:2],
    "stdlib": [os.path.realpath(entry) for entry in sys.path if os.path.exists(entry)],
}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python interpreter: its real executable (never a virtual environment's link) and its library."""

    python: str
    base_prefix: str
    version: str
    stdlib: tuple[str, ...]


@functools.cache
def inspect_interpreter(executable: str) -> Interpreter:
    """Ask `executable` what it is. Answers are kept: an interpreter does not change under a running daemon.

    Raises:
        SandboxdError: ENVIRONMENT_FAILED.
    """
    try:
        answer = subprocess.run(
            [executable, "-I", "-S", "-B", "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_SECONDS,
        )
        facts = json.loads(answer.stdout)
        return Interpreter(facts["python"], facts["base_prefix"], facts["version"], tuple(facts["stdlib"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise SandboxdError(
            Code.ENVIRONMENT_FAILED,
            f"The interpreter {executable} does not answer ({type(error).__name__}).",
            remedy=f"Run `{executable} -I -S -c pass` and mend what it reports.",
        ) from error
