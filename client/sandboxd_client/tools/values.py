"""Values that pass between a tool and the sandbox: JSON, and a few kinds that JSON has not (protos/TOOLS.md).

What a sandbox sent is data: it is parsed as JSON, and a tagged value becomes bytes, an undecoded image or a table. Nothing
is unpickled, and no image is decoded here: a decoder is an attack surface that the caller opens when it chooses to.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
import decimal
import enum
import io
import json
import math
import pathlib
import sys
import uuid
from typing import Any, Literal, TypeAlias

from sandboxd_client.tools import frames
from sandboxd_client.tools.errors import ToolValueError
from sandboxd_client.tools.frames import ToolTable

TAG = "$sandboxd"
MAX_VALUE_BYTES = 3 << 20
MAX_LEVELS = 64
MAX_NODES = 50_000
_MAX_INTEGER = 10**1000

ImageMime: TypeAlias = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
IMAGE_MIMES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_TEXTUAL = (dt.date, dt.time, decimal.Decimal, uuid.UUID, pathlib.PurePath)


@dataclasses.dataclass(frozen=True, slots=True)
class ToolImage:
    """An image as bytes with its media type; nobody has decoded it."""

    mime: ImageMime
    data: bytes = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        if self.mime not in IMAGE_MIMES:
            raise ToolValueError(
                f"{self.mime!r} is no image type that can be sent; these can: {', '.join(sorted(IMAGE_MIMES))}"
            )


def encode(value: Any, where: str = "the value") -> str:
    """Return a value as JSON text.

    Args:
        value: what is to be sent.
        where: what the value is, for messages.

    Raises:
        ToolValueError: it cannot be sent; the message says which part and what to send instead.
    """
    text = json.dumps(
        _Encoder().encode(value, where, 0), ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        raise ToolValueError(f"{where} holds half of a surrogate pair, which is no Unicode text") from None
    if size_bytes > MAX_VALUE_BYTES:
        raise ToolValueError(
            f"{where} has {size_bytes} bytes as JSON; {MAX_VALUE_BYTES} can be sent at most: send less at once"
        )
    return text


def decode(text: str) -> Any:
    """Return the value of a JSON text that a sandbox sent.

    Raises:
        ToolValueError: it is no such value.
    """
    try:
        return _untag(json.loads(text))
    except (ValueError, RecursionError, binascii.Error, KeyError, TypeError) as error:
        raise ToolValueError("the sandbox sent a value that is none") from error


class _Encoder:
    """Makes one value plain, and counts as it goes: a cycle and a bomb end at the same bound."""

    def __init__(self) -> None:
        self._nodes = 0

    def encode(self, value: Any, where: str, level: int) -> Any:  # noqa: PLR0911 - one way out a kind
        self._count(where, level)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, enum.Enum):
            return self.encode(value.value, where, level + 1)
        if isinstance(value, str):
            return str(value)
        if isinstance(value, int | float):
            return _number(value, where)
        if isinstance(value, dict):
            return self._mapping(value, where, level)
        if isinstance(value, list | tuple | set | frozenset):
            return [self.encode(item, f"{where}[{at}]", level + 1) for at, item in enumerate(value)]
        return self._special(value, where, level)

    def _count(self, where: str, level: int) -> None:
        self._nodes += 1
        if level >= MAX_LEVELS:
            raise ToolValueError(f"{where[:200]} is more than {MAX_LEVELS} levels deep, or holds itself")
        if self._nodes > MAX_NODES:
            raise ToolValueError(
                f"there are more than {MAX_NODES} values in it: send a table, bytes, or a part of it"
            )

    def _mapping(self, value: dict[Any, Any], where: str, level: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key, item in value.items():
            text = key.value if isinstance(key, enum.Enum) else key
            if not isinstance(text, str):
                raise ToolValueError(
                    f"{where} has the key {key!r:.80}; keys must be text: send a list of pairs, or str(key)"
                )
            plain[str(text)] = self.encode(item, f"{where}[{text!r:.80}]", level + 1)
        return (
            {TAG: "object", "pairs": [[key, item] for key, item in plain.items()]} if TAG in plain else plain
        )

    def _special(self, value: Any, where: str, level: int) -> Any:
        if isinstance(value, bytes | bytearray | memoryview):
            return {TAG: "bytes", "base64": _base64(bytes(value))}
        if isinstance(value, ToolImage):
            return {TAG: "image", "mime": value.mime, "base64": _base64(value.data)}
        if isinstance(value, ToolTable) or frames.is_frame(value):
            return {TAG: "dataframe", **frames.encode_frame(value, where)}
        if isinstance(value, _TEXTUAL):
            return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return self._mapping(fields, where, level)
        return self._foreign(value, where, level)

    def _foreign(self, value: Any, where: str, level: int) -> Any:
        """Take the few kinds of libraries that are told by name, so that none is imported for it."""
        if _is_of(value, "PIL.Image", "Image"):
            return {TAG: "image", "mime": "image/png", "base64": _base64(_png(value))}
        if _is_of(value, "numpy", "generic"):
            return self.encode(value.item(), where, level + 1)
        if _is_of(value, "numpy", "ndarray"):
            raise ToolValueError(f"{where} is a numpy array, which cannot be sent: send .tolist()")
        raise ToolValueError(
            f"{where} is of type {type(value).__qualname__}, which cannot be sent: send text, numbers, lists, dicts,"
            " bytes, a ToolImage or a DataFrame"
        )


def _number(value: float, where: str) -> float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ToolValueError(f"{where} is {float(value)!r}, which JSON has not: send None or text")
        return float(value)
    if not -_MAX_INTEGER < value < _MAX_INTEGER:
        raise ToolValueError(f"{where} is an integer of more than 1000 digits: send it as text")
    return int(value)


def _is_of(value: Any, module: str, name: str) -> bool:
    """Tell whether a value is an instance of a library's class; the library is loaded if it is."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        image.save(buffer, "PNG")
    except (OSError, ValueError):  # a mode that PNG has not, such as CMYK
        image.convert("RGBA").save(buffer, "PNG")
    return buffer.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _untag(value: Any) -> Any:  # noqa: PLR0911 - one way out a kind
    if isinstance(value, list):
        return [_untag(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(TAG)
    if kind is None:
        return {key: _untag(item) for key, item in value.items()}
    if kind == "bytes":
        return base64.b64decode(value["base64"], validate=True)
    if kind == "image":
        return ToolImage(value["mime"], base64.b64decode(value["base64"], validate=True))
    if kind == "dataframe":
        return frames.decode_frame(value)
    if kind == "object":
        return {str(key): _untag(item) for key, item in value["pairs"]}
    raise ToolValueError(f"there is no kind of value {kind!r:.40}")
