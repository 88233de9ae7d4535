"""Layer 1: the screen. It looks at a source text under a policy and says no, or nothing.

A filter that explains itself, not a boundary. Parsing happens in killable processes (`sandboxd.screen.engine`); whatever
goes wrong there is a denial.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandboxd.screen.screener import Screener
    from sandboxd.screen.verdicts import PASSING, SCREEN_FAILED, syntax_error_of

__all__ = ("PASSING", "SCREEN_FAILED", "Screener", "syntax_error_of")

_HOMES = {
    "PASSING": "sandboxd.screen.verdicts",
    "SCREEN_FAILED": "sandboxd.screen.verdicts",
    "Screener": "sandboxd.screen.screener",
    "syntax_error_of": "sandboxd.screen.verdicts",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: the rules' pages are for a plain install too, which lacks what the screener needs."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
