"""Arguments and results of tools as JSON, by value: plain data, bytes, images and tables (protos/TOOLS.md).

Libraries are known by name only: what a program did not import, it cannot pass. Nothing is pickled, either way.
"""

from __future__ import annotations

import base64
import io
import json
import math
import sys
from typing import Any, Dict, List

from sandboxd.guest import frame_values

TAG = "$sandboxd"
MAX_VALUE_BYTES = 3 * 1024 * 1024
_NODES, _DEPTH = 50_000, 64
_INT_BITS = 3300  # a thousand digits
_MIMES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
_PASSES = "what passes: None, bool, int, float, str, list, tuple, dict with text keys, bytes, PIL images, pandas DataFrames"

_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode
_decode = json.JSONDecoder().decode


def encode_arguments(tool: str, arguments: Dict[str, Any]) -> str:
    """Give the arguments of a call as a JSON object.

    Raises:
        TypeError: one of them does not pass by value, or is too large; it is named.
    """
    parts = []
    for name, value in arguments.items():
        try:
            text = f"{_encode(name)}:{_encode(_plain(value, [_NODES], 0))}"
            text.encode("utf-8")
        except frame_values.NotPassedError as error:
            raise TypeError(f"{tool}: argument {name!r}: {error}") from None
        except UnicodeEncodeError:
            raise TypeError(f"{tool}: argument {name!r}: text with a lone surrogate does not pass") from None
        parts.append(text)
    whole = "{" + ",".join(parts) + "}"
    if len(whole) > MAX_VALUE_BYTES or (not whole.isascii() and len(whole.encode()) > MAX_VALUE_BYTES):
        raise TypeError(f"{tool}: the arguments take more than {MAX_VALUE_BYTES:,} bytes as JSON")
    return whole


def decode(text: str, *, plain: bool) -> Any:
    """Give the value of a result.

    Args:
        text: JSON, checked by the host.
        plain: leave images as bytes and tables as dicts: a restricted program gets plain values.
    """
    return _value(_decode(text), plain=plain)


def _plain(value: Any, budget: List[int], depth: int) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > _DEPTH:
        raise frame_values.NotPassedError(
            f"more than {_NODES:,} values, or {_DEPTH} levels (or it holds itself)"
        )
    if value is None or isinstance(value, (str, bool, int, float)):
        return _scalar(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item, budget, depth + 1) for item in value]
    if isinstance(value, dict):
        return _object(value, budget, depth)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {TAG: "bytes", "base64": base64.b64encode(value).decode("ascii")}
    return _foreign(value, budget, depth)


def _scalar(value: Any) -> Any:
    """Give a plain value as an exact one: a subclass's methods are the program's."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        if value.bit_length() > _INT_BITS:
            raise frame_values.NotPassedError("an integer of more than 1,000 digits does not pass")
        return int(value)
    if not math.isfinite(value):
        raise frame_values.NotPassedError(f"{float(value)!r} is no JSON: pass None, or text")
    return float(value)


def _object(value: Dict[Any, Any], budget: List[int], depth: int) -> Dict[str, Any]:
    plain = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise frame_values.NotPassedError(f"a dict's keys must be text, and one is {_name(key)}")
        plain[str.__str__(key)] = _plain(item, budget, depth + 1)
    return {TAG: "object", "pairs": [[*pair] for pair in plain.items()]} if TAG in plain else plain


def _foreign(value: Any, budget: List[int], depth: int) -> Any:
    kind = type(value)
    numpy, pandas, pil = (sys.modules.get(name) for name in ("numpy", "pandas", "PIL.Image"))
    if numpy is not None and isinstance(value, numpy.generic):
        item = value.item()
        if not isinstance(item, numpy.generic):
            return _plain(item, budget, depth + 1)
    if numpy is not None and isinstance(value, numpy.ndarray):
        raise frame_values.NotPassedError("a numpy array does not pass: use its .tolist()")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return frame_values.encode(value)
    if pandas is not None and isinstance(value, (pandas.Series, pandas.Index)):
        raise frame_values.NotPassedError(
            f"a {kind.__name__} does not pass: use its .tolist() or .to_frame()"
        )
    if pil is not None and isinstance(value, pil.Image):
        return _image(value)
    raise frame_values.NotPassedError(f"a value of type {_name(value)} does not pass; {_PASSES}")


def _image(image: Any) -> Dict[str, Any]:
    kind = image.format if image.format in _MIMES else "PNG"
    if kind == "PNG" and image.mode not in {"1", "L", "LA", "I", "P", "RGB", "RGBA", "I;16"}:
        image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, kind)
    return {TAG: "image", "mime": _MIMES[kind], "base64": base64.b64encode(file.getvalue()).decode("ascii")}


def _name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _value(raw: Any, *, plain: bool) -> Any:
    if isinstance(raw, list):
        return [_value(item, plain=plain) for item in raw]
    if not isinstance(raw, dict):
        return raw
    kind = raw.get(TAG)
    if kind is None:
        return {key: _value(item, plain=plain) for key, item in raw.items()}
    if kind == "object":
        return {key: _value(item, plain=plain) for key, item in raw["pairs"]}
    if kind == "dataframe":
        return frame_values.decode(raw, plain=plain)
    data = base64.b64decode(raw["base64"])
    return data if plain or kind == "bytes" else _opened(data)


def _opened(data: bytes) -> Any:
    try:
        from PIL import Image  # noqa: PLC0415 - an environment may lack it, and a cell without images need not load it
    except ImportError:
        return data
    return Image.open(io.BytesIO(data))
