r"""One record of the log as one line: made, bounded, hashed, and read back without trust.

    {"seq":7,"ts":"2026-11-22T13:34:00.123456Z","kind":"…",<fields by name>,"prev":"<64 hex>","hash":"<64
    hex>"}

The canonical form is the line itself: compact ASCII JSON with members in exactly this order. `hash` is the
SHA-256 of the line without its newline and its last member, so anyone can check it without a JSON parser:

    sed -E 's/,"hash":"[0-9a-f]{64}"\}$/}/' | tr -d '\n' | sha256sum
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"

MAX_LINE_BYTES = 8192
MAX_STRING_CHARS = 512
MAX_ITEMS = 32
MAX_DEPTH = 4
GENESIS = "0" * 64

_RESERVED = frozenset({"seq", "ts", "kind", "prev", "hash"})
_KIND = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_HASH_MEMBER = re.compile(rb',"hash":"([0-9a-f]{64})"\}\n\Z')
_HASH_MEMBER_BYTES = len(',"hash":""}\n') + 64
_INTEGER_LIMIT = 1 << 63
# ensure_ascii escapes control, bidi and line-separator characters: a field can forge nothing on a screen.
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


class Link(NamedTuple):
    """Where the chain stands: the last record's number and hash."""

    seq: int
    hash: str


class Sealed(NamedTuple):
    """A finished record: its number, its line with the newline, its hash."""

    seq: int
    line: bytes
    hash: str


START = Link(0, GENESIS)


def seal(after: Link, kind: str, fields: Mapping[str, JsonValue], *, now_seconds: float) -> Sealed:
    """Make the record that follows `after`.

    Args:
        after: the link the record is chained to.
        kind: lower-case name of what is recorded.
        fields: what is recorded; cut to the bounds of this module.
        now_seconds: Unix time.

    Raises:
        ValueError: a bad kind, or a field with a reserved name.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(f"not a record kind: {kind!r}")
    if not _RESERVED.isdisjoint(fields):
        raise ValueError(f"reserved field names: {sorted(_RESERVED & fields.keys())}")
    head: dict[str, object] = {"seq": after.seq + 1, "ts": format_time(now_seconds), "kind": kind}
    bounded = _bounded_mapping(fields, MAX_DEPTH)
    body = _encode({**head, **bounded, "prev": after.hash})
    if len(body) + _HASH_MEMBER_BYTES > MAX_LINE_BYTES:
        digest = hashlib.sha256(_encode(bounded).encode("ascii")).hexdigest()
        body = _encode({**head, "fields_sha256": digest, "oversized": True, "prev": after.hash})
    content = body.encode("ascii")
    digest = hashlib.sha256(content).hexdigest()
    return Sealed(after.seq + 1, b'%b,"hash":"%b"}\n' % (content[:-1], digest.encode("ascii")), digest)


def unseal(line: bytes) -> dict[str, Any]:
    """Read a line back and check it by itself: form, hash, canonical encoding, the five fixed members.

    Raises:
        ValueError: what is wrong with the line, in words that hold nothing of its content.
    """
    member = _HASH_MEMBER.search(line, max(0, len(line) - _HASH_MEMBER_BYTES))
    if member is None:
        raise ValueError("does not end in a hash")
    content = line[: member.start()] + b"}"
    digest = hashlib.sha256(content).hexdigest()
    if digest.encode("ascii") != member[1]:
        raise ValueError("content and hash differ")
    try:
        record = json.loads(content)
        canonical = isinstance(record, dict) and _encode(record).encode("ascii") == content
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not canonical or not _has_fixed_members(record):
        raise ValueError("is not a record in canonical form")
    record["hash"] = digest
    return dict(record)


def format_time(seconds: float) -> str:
    """Format Unix time as RFC 3339 in UTC with microseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Read what `format_time` wrote. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()


def _has_fixed_members(record: dict[str, Any]) -> bool:
    seq = record.get("seq")
    strings = (record.get("ts"), record.get("kind"), record.get("prev"))
    return type(seq) is int and seq >= 1 and all(isinstance(item, str) for item in strings)


def _bounded_mapping(fields: Mapping[str, JsonValue], depth: int) -> dict[str, object]:
    names = sorted(fields)[:MAX_ITEMS]
    return {name[:MAX_STRING_CHARS]: _bounded(fields[name], depth - 1) for name in names}


def _bounded(value: JsonValue, depth: int) -> object:
    if isinstance(value, str):
        return value if len(value) <= MAX_STRING_CHARS else value[:MAX_STRING_CHARS] + "..."
    if value is None or isinstance(value, (int, float)):  # a union costs ten times as much
        return _bounded_number(value)
    if depth <= 0:
        return "too deep"
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101 - the first is the cheap one
        return _bounded_mapping(value, depth)
    return [_bounded(item, depth - 1) for item in value[:MAX_ITEMS]]


def _bounded_number(value: float | None) -> object:
    # NaN is no JSON, and an integer of thousands of digits cannot be read back.
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else "not finite"
    if value is None or -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        return value
    return "out of range"
