"""What import statements call: facades come back, never modules."""

from __future__ import annotations

from typing import Any

from sandboxd.guest.restricted import facades


def import_top(name: str) -> Any:
    """Import `a.b` and give `a`, as `import a.b` does."""
    leaf = facades.load(name)
    top = name.partition(".")[0]
    return leaf if top == name else facades.load(top)


def import_leaf(name: str) -> Any:
    """Import `a.b` and give `a.b`, as `import a.b as c` does."""
    return facades.load(name)


def import_from(module: str, name: str) -> Any:
    """Give one name of a module, or its submodule, as `from a import b` does.

    Raises:
        ImportError: there is neither.
    """
    facade = facades.load(module)
    try:
        return getattr(facade, name)
    except AttributeError:
        if f"{module}.{name}" in facades.NAMES:
            return facades.load(f"{module}.{name}")
    facades.check_from(facade, (name,))
    raise ImportError(f"cannot import name {name!r} from {module!r}", name=module)
