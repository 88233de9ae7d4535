"""Environments: an interpreter with the packages that sandboxed code may import.

Theory of operation. An environment is one directory, `ROOT/NAME`, holding `site-packages`, `cache` and a
manifest; the interpreter is the daemon's own base interpreter, which stays where it is. pip works in
`ROOT/.creating-NAME`, and one rename makes the result final, so that whatever ends a creation, no environment
is ever half there. A lock on that directory tells a creation at work from the remains of a killed one; the
next creation or listing removes the remains. Once made, an environment is never changed: jails see it
read-only.

`base` is synthetic: the daemon's interpreter and the standard library, no directory of its own.
"""

from sandboxd.environments.create import create_environment
from sandboxd.environments.interpreter import Interpreter, inspect_interpreter
from sandboxd.environments.model import BASE, Environment
from sandboxd.environments.store import load_environment, load_environments, remove_environment

__all__ = (
    "BASE",
    "Environment",
    "Interpreter",
    "create_environment",
    "inspect_interpreter",
    "load_environment",
    "load_environments",
    "remove_environment",
)
