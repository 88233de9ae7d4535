"""Readers of setting values: the text of a flag or variable, or a TOML value, into the setting's type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

Reader: TypeAlias = Callable[[Any], object]
"""Turns one raw value into the setting's value; raises ValueError saying what was expected."""

_SIZE = re.compile(r"(\d{1,18}) ?(B|KiB|MiB|GiB|TiB)?", re.ASCII)
_UNITS: Mapping[str, int] = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_BOOLEANS: Mapping[str, bool] = {
    "true": True,
    "yes": True,
    "1": True,
    "false": False,
    "no": False,
    "0": False,
}


def text(raw: object) -> str:
    """Read a string without control characters."""
    if not isinstance(raw, str) or any(ord(char) < ord(" ") for char in raw):
        raise ValueError("expected text without control characters")
    return raw


def path(raw: object) -> Path:
    """Read an absolute path; `~` is the user's home."""
    value = Path(text(raw)).expanduser()
    if not value.is_absolute():
        raise ValueError("expected an absolute path")
    return value


def optional_path(raw: object) -> Path | None:
    """Read an absolute path; empty is none."""
    return path(raw) if raw else None


def boolean(raw: object) -> bool:
    """Read true or false."""
    if isinstance(raw, bool):
        return raw
    value = _BOOLEANS.get(raw.lower()) if isinstance(raw, str) else None
    if value is None:
        raise ValueError("expected true or false")
    return value


def size(raw: object) -> int:
    """Read a size in bytes: a whole number, or one with B, KiB, MiB, GiB or TiB."""
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        return raw
    found = _SIZE.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if found is None:
        raise ValueError("expected a size, for example 65536 or 256MiB")
    return int(found[1]) * _UNITS[found[2] or "B"]


def count(minimum: int, maximum: int) -> Reader:
    """Make a reader of whole numbers between two bounds, both included."""

    def read(raw: object) -> int:
        digits = isinstance(raw, str) and raw.isascii() and raw.isdigit()
        if isinstance(raw, bool) or not (isinstance(raw, int) or digits):
            raise ValueError("expected a whole number")
        value = int(raw)  # type: ignore[call-overload]  # an int or digits, by the line above
        if not minimum <= value <= maximum:
            raise ValueError(f"expected a whole number from {minimum} to {maximum}")
        return int(value)

    return read


def seconds(minimum: float, maximum: float) -> Reader:
    """Make a reader of durations in seconds between two bounds, both included; "60s" is 60."""

    def read(raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise ValueError("expected seconds")  # noqa: TRY004  # one kind of error for the caller to report
        try:
            value = float(raw.removesuffix("s")) if isinstance(raw, str) else float(raw)
        except ValueError as error:
            raise ValueError("expected seconds, for example 60 or 0.5") from error
        if not math.isfinite(value) or not minimum <= value <= maximum:
            raise ValueError(f"expected seconds from {minimum:g} to {maximum:g}")
        return value

    return read


def choice(*names: str) -> Reader:
    """Make a reader of one of several names."""

    def read(raw: object) -> str:
        if raw not in names:
            raise ValueError(f"expected one of {', '.join(names)}")
        return str(raw)

    return read
