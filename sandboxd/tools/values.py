"""Arguments and results as JSON (protos/TOOLS.md): parsed strictly, checked for form, and written anew.

What arrives at the other end is what was checked here: two parsers that disagree on a text (a key twice, NaN, a lone
surrogate) never see the same one. Nothing is decoded: base64 stays text, an image is bytes to us.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from sandboxd.executors.outline import containers, outline

TAG = "$sandboxd"
MAX_VALUE_BYTES = 3 << 20
MAX_NODES = 50_000
MAX_DEPTH = 64
MAX_DIGITS = 1000
MAX_CELLS = 1_000_000
_MAX_CONTAINERS = 3 * MAX_NODES  # an escaped object in a list of pairs takes three a value
MIMES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_FRAME_KEYS = {TAG, "columns", "dtypes", "data", "index"}
_SHOWN = 80


class ValueFormError(ValueError):
    """A text is no value; the message says why, and holds nothing of the text."""


class Text(str):
    """Text whose repr is short: validators put reprs into their messages."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str.__repr__(self) if len(self) <= _SHOWN else f"<text of {len(self):,} characters>"


class Array(list[Any]):
    """A list whose repr is short."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<list of {len(self):,}>"


class Object(dict[str, Any]):
    """A dict whose repr is short."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<object of {len(self):,}>"


@dataclass(frozen=True, slots=True)
class Tagged:
    """Bytes, an image or a DataFrame: one value, whose inside no schema sees."""

    kind: str
    size_bytes: int

    def __repr__(self) -> str:
        return f"<{self.kind}>"


@dataclass(frozen=True, slots=True)
class Value:
    """A checked value: as a schema sees it, as it is passed on, and how much there is of it."""

    seen: Any
    text: str
    nodes: int

    @property
    def size_bytes(self) -> int:
        """Its size on the wire."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())


def check_size(text: str) -> None:
    """Refuse a text that is too large, at no cost. Raises ValueFormError."""
    if len(text) > MAX_VALUE_BYTES:
        raise ValueFormError(f"it takes more than {MAX_VALUE_BYTES:,} bytes as JSON")


def read(text: str) -> Value:
    """Read a value.

    Raises:
        ValueFormError: it is not exactly as protos/TOOLS.md says, or too large.
    """
    check_size(text)
    try:
        _check_parts(text)
        raw = _decode(text)
        counted = [0]
        seen = _seen(raw, counted, 0)  # first: what is too much is not written, which nothing interrupts
        written = _encode(raw)
        size = len(written.encode())
    except RecursionError:
        raise ValueFormError(f"it is more than {MAX_DEPTH} levels deep") from None
    except UnicodeEncodeError:
        raise ValueFormError("it holds a lone surrogate") from None
    except ValueFormError:
        raise
    except ValueError:
        raise ValueFormError("it is no JSON") from None
    if size > MAX_VALUE_BYTES:
        raise ValueFormError(f"it takes more than {MAX_VALUE_BYTES:,} bytes as JSON")
    return Value(seen, written, counted[0])


def _check_parts(text: str) -> None:
    """Refuse a million lists before they are made: the parser would hold every thread of the process meanwhile."""
    body = text.encode()
    if containers(body) <= _MAX_CONTAINERS:
        return
    outside = outline(body, strings=MAX_CELLS)
    if outside is None or containers(outside) > _MAX_CONTAINERS:
        raise ValueFormError(f"it holds more than {MAX_NODES:,} values")


def _seen(raw: Any, counted: list[int], depth: int) -> Any:
    counted[0] += 1
    if counted[0] > MAX_NODES:
        raise ValueFormError(f"it holds more than {MAX_NODES:,} values")
    if depth > MAX_DEPTH:
        raise ValueFormError(f"it is more than {MAX_DEPTH} levels deep")
    if isinstance(raw, str):
        return Text(raw)
    if isinstance(raw, list):
        return Array(_seen(item, counted, depth + 1) for item in raw)
    if not isinstance(raw, dict):
        return raw
    pairs = _untagged(raw)
    if isinstance(pairs, Tagged):
        return pairs
    return Object((_key(key), _seen(item, counted, depth + 1)) for key, item in pairs)


def _key(key: str) -> str:
    return key if len(key) <= _SHOWN else Text(key)


def _untagged(raw: dict[str, Any]) -> Tagged | list[tuple[str, Any]]:
    """Give the pairs of a plain or an escaped object, or what a tagged one stands for."""
    kind = raw.get(TAG)
    if TAG not in raw:
        return list(raw.items())
    if kind == "object" and raw.keys() == {TAG, "pairs"}:
        return _pairs(raw["pairs"])
    if kind == "bytes" and raw.keys() == {TAG, "base64"}:
        return Tagged("bytes", _base64_bytes(raw["base64"]))
    if kind == "image" and raw.keys() == {TAG, "mime", "base64"}:
        if not isinstance(raw["mime"], str) or raw["mime"] not in MIMES:
            raise ValueFormError("an image is png, jpeg, gif or webp")
        return Tagged("image", _base64_bytes(raw["base64"]))
    if kind == "dataframe" and raw.keys() == _FRAME_KEYS:
        _check_frame(raw)
        return Tagged("dataframe", 0)
    raise ValueFormError(f"an object with the key {TAG} is none of protos/TOOLS.md")


def _pairs(raw: Any) -> list[tuple[str, Any]]:
    if not isinstance(raw, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in raw):  # noqa: PLR2004
        raise ValueFormError("the pairs of an object are lists of two")
    if not all(isinstance(key, str) for key, _ in raw) or len({key for key, _ in raw}) != len(raw):
        raise ValueFormError("the keys of an object are text, each once")
    return [(key, item) for key, item in raw]


def _base64_bytes(raw: Any) -> int:
    if not isinstance(raw, str) or len(raw) % 4 or _BASE64.fullmatch(raw) is None:
        raise ValueFormError("base64 is text of the standard alphabet, padded")
    return len(raw) // 4 * 3 - raw.count("=", -2)


def _check_frame(raw: dict[str, Any]) -> None:
    columns, dtypes, data, index = (raw[key] for key in ("columns", "dtypes", "data", "index"))
    if not all(isinstance(part, list) for part in (columns, dtypes, data)):
        raise ValueFormError("columns, dtypes and data of a dataframe are lists")
    if not len(columns) == len(dtypes) == len(data) or not {*map(type, columns)} <= {str, int}:
        raise ValueFormError("a dataframe has one name (text or integer), one dtype and one list a column")
    if index is not None:
        if not isinstance(index, dict) or index.keys() != {"name", "dtype", "data"}:
            raise ValueFormError("the index of a dataframe is null, or has name, dtype and data")
        if not isinstance(index["name"], str | None):
            raise ValueFormError("the name of an index is text or null")
        data, dtypes = [*data, index["data"]], [*dtypes, index["dtype"]]
    if not all(isinstance(dtype, str) and len(dtype) <= _SHOWN for dtype in dtypes):
        raise ValueFormError("a dtype is text")
    if not all(isinstance(cells, list) and {*map(type, cells)} <= _CELL_TYPES for cells in data):
        raise ValueFormError("the cells of a dataframe are null, bool, numbers and text")
    if len({len(cells) for cells in data}) > 1 or sum(map(len, data)) > MAX_CELLS:
        raise ValueFormError(
            f"the columns of a dataframe are equally long, {MAX_CELLS:,} cells in all at most"
        )


_CELL_TYPES = {type(None), bool, int, float, str}


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueFormError("NaN and infinities are no JSON")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueFormError(f"an integer has more than {MAX_DIGITS:,} digits")
    return int(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueFormError("an object has a key twice")
    return made


_decode = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_refuse_constant, parse_int=_integer
).decode
# Refuses infinities again: 1e999 is one, and passes a parser as a number.
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
