"""What a pid 1 may list, and what a lying one gets."""

from __future__ import annotations

import json

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.executors.listing import parse


def entry(name: str) -> dict[str, object]:
    return {"path": name, "size": 2**40, "kind": "file", "mtime": 1764000000.123456}


def test_the_longest_listing_is_read() -> None:
    files = [entry("\\\n\x01" * 85) for _ in range(10_000)]
    found, more = parse(json.dumps({"files": files, "truncated": True}).encode())
    assert (len(found), more) == (10_000, True)


@pytest.mark.parametrize(
    "text",
    [
        b'{"files":[' + b"[]," * 2_000_000 + b'[]],"truncated":false}',
        b'{"files":[' + b"0," * 8_000_000 + b'0],"truncated":false}',
        b'{"files":[' + b'"",' * 8_000_000 + b'""],"truncated":false}',
        b"[" * 5_000, b"", b"{}", b"[]", b'{"files":[1],"truncated":0}', b"\xff",
    ],
    ids=["lists", "numbers", "strings", "deep", "nothing", "empty", "list", "entry", "bytes"],
)  # fmt: skip
def test_what_is_no_listing_is_refused(text: bytes) -> None:
    with pytest.raises(SandboxdError) as caught:
        parse(text)
    assert caught.value.code == Code.FILE_FAILED
