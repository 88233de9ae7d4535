"""`final_answer(value)`: what a program hands to its caller, as JSON where it is plain data, and as its repr."""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Optional

from sandboxd.guest.text import bounded_repr

_JSON_BYTES = 1024 * 1024
_NODES = 100_000
_DEPTH = 50
_INT_BITS = 1024  # beyond that a number in JSON is a trap for whoever reads it
_ARRAY_ITEMS = 10_000
_SCALARS = (str, bool, int, float)

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False).encode


class NotPlainError(ValueError):
    """A value is no plain data, or too much of it."""


class Answer:
    """Holds the last `final_answer` of the running cell."""

    __slots__ = ("_repr_limit", "value")

    def __init__(self, repr_limit: int) -> None:
        self._repr_limit = repr_limit
        self.value: Optional[Dict[str, str]] = None

    def record(self, value: Any) -> Any:
        """Record the final answer of this program and return it. The last call counts."""
        # Described now: the program may change the value before its cell ends.
        self.value = {"json": plain_json(value), "text": _repr(value, self._repr_limit)}
        return value


def plain_json(value: Any) -> str:
    """Give a value as JSON, or "" where it is no plain data of a reasonable size; NaN and infinities become null."""
    try:
        text = _encode(plain(value, [_NODES]))
    except Exception:
        return ""
    return text if len(text) <= _JSON_BYTES else ""


def plain(value: Any, budget: list[int], depth: int = 0) -> Any:
    """Copy plain data into exact built-in types.

    Args:
        value: dict, list, tuple, str, number, bool, None, or a numpy scalar or small array of such.
        budget: how many nodes may still be copied, in a list of one.
        depth: how deep the value stands.

    Raises:
        NotPlainError: it holds something else, or too much.
    """
    budget[0] -= 1
    if budget[0] < 0 or depth > _DEPTH:
        raise NotPlainError
    if isinstance(value, (list, tuple)):
        return [plain(item, budget, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_key(key): plain(item, budget, depth + 1) for key, item in value.items()}
    if value is None or isinstance(value, _SCALARS):
        return _scalar(value)
    return plain(_from_numpy(value), budget, depth + 1)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        if value.bit_length() > _INT_BITS:
            raise NotPlainError
        return int(value)
    return float(value) if math.isfinite(value) else None


def _key(key: Any) -> str:
    """Give a dict's key as JSON does."""
    if key is not None and not isinstance(key, _SCALARS):
        key = _from_numpy(key)
    if key is not None and not isinstance(key, _SCALARS):
        raise NotPlainError
    plain_key = _scalar(key)
    return plain_key if isinstance(plain_key, str) else _encode(plain_key)


def _from_numpy(value: Any) -> Any:
    """Convert a numpy scalar or a small array to Python's own types, knowing numpy by name only."""
    kind = type(value)
    if kind.__module__ == "numpy" and getattr(value, "size", _ARRAY_ITEMS + 1) <= _ARRAY_ITEMS:
        converted = value.tolist()
        if type(converted) is not kind:
            return converted
    raise NotPlainError


def _repr(value: Any, limit: int) -> str:
    try:
        return bounded_repr(value, limit)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
