"""The table of modules that restricted code may import, what it may use of each, and why not more."""

from __future__ import annotations

from typing import Dict

from sandboxd.guest.restricted.facades.tables import (
    algorithms,
    asynchronous,
    data,
    filesystem,
    language,
    numbers,
    text,
    times,
)
from sandboxd.guest.restricted.facades.tables.entry import Entry

__all__ = ("TABLE", "Entry")

TABLE: Dict[str, Entry] = {
    **numbers.TABLE,
    **data.TABLE,
    **algorithms.TABLE,
    **language.TABLE,
    **times.TABLE,
    **filesystem.TABLE,
    **text.TABLE,
    **asynchronous.TABLE,
}
