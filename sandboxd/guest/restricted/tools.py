"""The client's functions for restricted programs: callables and a namespace that show nothing of the channel behind them."""

from __future__ import annotations

from typing import Any, Callable, Dict

from sandboxd.guest.restricted.frozen import Frozen, frozen_callable, refuse_base, take_slot


class FrozenTool(Frozen):
    """A tool: it can be called, at once or by `aio`, and tells its form. Made by `members`."""

    __slots__ = ("_aio", "_call", "_form")
    __init_subclass__ = refuse_base

    def __new__(cls) -> Any:
        """Refuse: programs make no tools."""
        raise TypeError("cannot create 'tool' instances")

    def __call__(self, /, *arguments: Any, **keywords: Any) -> Any:
        """Call the tool."""
        return _call.__get__(self)(*arguments, **keywords)

    @property
    def aio(self) -> Any:
        """The same as an awaitable, sent at once."""
        return _aio.__get__(self)

    @property
    def __name__(self) -> str:
        name: str = _call.__get__(self).__name__
        return name

    def __repr__(self) -> str:
        return f"<tool {_form.__get__(self)}>"


class FrozenToolbox(Frozen):
    """`tools` for restricted programs."""

    __slots__ = ("_members", "_text")
    __init_subclass__ = refuse_base

    def __new__(cls) -> Any:
        """Refuse: programs make no toolboxes."""
        raise TypeError("cannot create 'tools' instances")

    def __getattr__(self, name: str) -> Any:
        found = _members.__get__(self).get(name)
        if found is None:
            raise AttributeError(f"there is no tool {name!r}")
        return found

    def __dir__(self) -> list[str]:
        return sorted(_members.__get__(self))

    def __repr__(self) -> str:
        text: str = _text.__get__(self)
        return text


_call, _aio, _form = (take_slot(FrozenTool, name) for name in ("_call", "_aio", "_form"))
_members, _text = (take_slot(FrozenToolbox, name) for name in ("_members", "_text"))


def members(functions: Dict[str, Callable[..., Any]], errors: Dict[str, Any], text: str) -> Dict[str, Any]:
    """Wrap the session's tools.

    Args:
        functions: by name; each has its other way of being called as `aio`.
        errors: the exceptions that programs may catch.
        text: the repr of `tools`.

    Returns:
        What to put among a program's builtins; nothing where there are no tools.
    """
    if not functions:
        return {}
    found: Dict[str, Any] = {name: _frozen(function) for name, function in functions.items()}
    found.update(errors)
    toolbox = object.__new__(FrozenToolbox)
    _members.__set__(toolbox, dict(found))
    _text.__set__(toolbox, text)
    return {**found, "tools": toolbox}


def _frozen(function: Any) -> FrozenTool:
    tool: FrozenTool = object.__new__(FrozenTool)
    _call.__set__(tool, function)
    _aio.__set__(tool, frozen_callable(function.__name__, function.aio))
    _form.__set__(tool, f"{function.__name__}{function.__signature__}")
    return tool
