"""Programs that import facades and nothing else: the facades alone, without the compiler and its guards."""

from __future__ import annotations

import builtins
from typing import Any

from sandboxd.guest.restricted import facades


def run(source: str) -> dict[str, Any]:
    """Run a program as `__main__`; every import in it gets a facade. Returns its names."""
    names = {"__name__": "__main__", "__builtins__": {**vars(builtins), "__import__": _import}}
    exec(compile(source, "<program>", "exec", dont_inherit=True), names)
    return names


def value(expression: str, imports: str = "") -> Any:
    """Evaluate an expression after some imports."""
    return run(f"{imports}\nresult = {expression}")["result"]


def _import(name: str, globals_: Any = None, locals_: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    facade = facades.load(name)
    return facade if fromlist else facades.load(name.partition(".")[0])
