"""What an environment is, and which names it may have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandboxd.errors import Code, SandboxdError

BASE = "base"
"""The environment that always exists: the standard library alone."""


_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter and its packages. All paths are absolute and real, for the jail to bind read-only.

    Attributes:
        name: what policies call it.
        python: the interpreter's real executable.
        base_prefix: the tree of that interpreter.
        version: "major.minor".
        site_packages: the directory to append to `sys.path`; None where there is only the standard library.
        packages: what is installed, "name==version", sorted.
        preload: modules worth importing once, before sandboxes are forked.
        stdlib: the interpreter's own `sys.path` entries.
        matplotlib_cache: a directory with matplotlib's font list, bundled fonts only. matplotlib takes it as
            MPLCONFIGDIR only where it may write: copy it (a few KiB), never bind it read-only as that.
    """

    name: str
    python: str
    base_prefix: str
    version: str
    site_packages: str | None = None
    packages: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    stdlib: tuple[str, ...] = ()
    matplotlib_cache: str | None = None


def check_name(name: str) -> str:
    """Return `name` if an environment may be called so.

    Raises:
        SandboxdError: INVALID_REQUEST.
    """
    if not _NAME.fullmatch(name):
        raise SandboxdError(
            Code.INVALID_REQUEST,
            f"{name[:80]!r} cannot name an environment.",
            remedy="Use 1 to 63 of a-z, 0-9 and dash, not starting with a dash.",
        )
    return name


def is_module_name(name: str) -> bool:
    """Tell whether `name` is a dotted module name: nothing else may reach `import_module`."""
    return len(name) <= 200 and _MODULE.fullmatch(name) is not None  # noqa: PLR2004
