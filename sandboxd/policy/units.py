"""Durations and sizes as people write them: "250ms", "30s", "1GiB". A number without a unit is refused."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_QUANTITY = re.compile(r"(0|[1-9][0-9]{0,11})([A-Za-z]+)\Z", re.ASCII)

DURATION_PATTERN = r"^(0|[1-9][0-9]{0,11})(ms|s|m|h)$"
SIZE_PATTERN = r"^(0|[1-9][0-9]{0,11})(B|KiB|MiB|GiB|TiB)$"


def parse_duration(value: object) -> float:
    """Return seconds.

    Raises:
        ValueError: no whole number with one of the units.
    """
    number, unit = _split(value, _SECONDS, "30s")
    return number / 1000 if unit == "ms" else number * _SECONDS[unit]


def parse_size(value: object) -> int:
    """Return bytes.

    Raises:
        ValueError: no whole number with one of the (binary) units.
    """
    number, unit = _split(value, _BYTES, "64MiB")
    return number * _BYTES[unit]


def format_duration(seconds: float) -> str:
    """Write seconds with the largest unit that keeps the number whole."""
    milliseconds = round(seconds * 1000)
    for unit in ("h", "m", "s"):
        step = round(_SECONDS[unit] * 1000)
        if milliseconds and milliseconds % step == 0:
            return f"{milliseconds // step}{unit}"
    return f"{milliseconds}ms"


def format_size(size_bytes: int) -> str:
    """Write bytes with the largest unit that keeps the number whole."""
    for unit, step in reversed(_BYTES.items()):
        if size_bytes and size_bytes % step == 0:
            return f"{size_bytes // step}{unit}"
    return f"{size_bytes}B"


def _split(value: object, units: dict[str, float] | dict[str, int], example: str) -> tuple[int, str]:
    allowed = f"write a whole number and one of {', '.join(units)}, such as {example}"
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(allowed)
    return int(match[1]), match[2]
