from __future__ import annotations

import hashlib
import json
import re

import pytest

from sandboxd.log.records import (
    GENESIS,
    MAX_LINE_BYTES,
    START,
    Link,
    format_time,
    parse_time,
    seal,
    unseal,
)


def sealed(fields: dict[str, object], after: Link = START) -> bytes:
    return seal(after, "test", fields, now_seconds=1.5).line  # type: ignore[arg-type]


def test_a_record_is_one_line_with_its_members_in_order() -> None:
    line = sealed({"b": 1, "a": "x"}, Link(6, "c" * 64))
    record = json.loads(line)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert list(record) == ["seq", "ts", "kind", "a", "b", "prev", "hash"]
    assert record["seq"] == 7
    assert record["prev"] == "c" * 64
    assert record["ts"] == "1970-01-01T00:00:01.500000Z"


def test_the_hash_can_be_checked_without_this_code() -> None:
    line = sealed({"a": "x"}).decode().rstrip("\n")
    content = re.sub(r',"hash":"[0-9a-f]{64}"\}$', "}", line)
    assert hashlib.sha256(content.encode()).hexdigest() == json.loads(line)["hash"]


def test_what_was_sealed_is_unsealed() -> None:
    record = unseal(
        sealed({"text": "ü\u202e\x1b[31m\n\ud800", "list": [1, 2.5, None, True], "map": {"k": "v"}})
    )
    assert record["text"] == "ü\u202e\x1b[31m\n\ud800"
    assert record["list"] == [1, 2.5, None, True]
    assert record["prev"] == GENESIS


def test_control_and_bidi_characters_are_escaped() -> None:
    line = sealed({"text": "\x1b[2J\r\n\u2028\u202e\x00\x7f"})
    assert all(0x20 <= byte < 0x7F or byte == 0x7F for byte in line[:-1])
    assert b"\x1b" not in line
    assert "\u202e".encode() not in line


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x" * 10_000, "x" * 512 + "..."),
        pytest.param(10**5000, "out of range", id="huge"),
        (float("nan"), "not finite"),
        (float("inf"), "not finite"),
        ([[[[[1]]]]], [[["too deep"]]]),
        (list(range(1000)), list(range(32))),
    ],
)
def test_a_field_is_bounded(value: object, kept: object) -> None:
    assert unseal(sealed({"field": value}))["field"] == kept


def test_a_record_that_is_still_too_long_keeps_a_hash_of_its_fields() -> None:
    line = sealed({f"field{number}": "\u202e" * 512 for number in range(32)})
    assert len(line) <= MAX_LINE_BYTES
    record = unseal(line)
    assert record["oversized"] is True
    assert re.fullmatch("[0-9a-f]{64}", record["fields_sha256"])


@pytest.mark.parametrize("name", ["seq", "ts", "kind", "prev", "hash"])
def test_a_field_cannot_take_a_fixed_member_s_place(name: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        sealed({name: 1})


def test_a_kind_is_a_plain_name() -> None:
    with pytest.raises(ValueError, match="kind"):
        seal(START, 'x","seq":9', {}, now_seconds=0)


def rehashed(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:-1] + b',"hash":"' + digest + b'"}\n'


HEAD = b'{"seq":1,"ts":"t","kind":"k"'
PREV = b',"prev":"' + GENESIS.encode() + b'"}'


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        rehashed(b"[" * 5000 + b"}"),
        rehashed(b'["seq"}'),
        rehashed(b'{"seq":1}'),
        rehashed(HEAD.replace(b"1", b"true") + PREV),
        rehashed(HEAD.replace(b"1", b"0") + PREV),
        rehashed(HEAD + b',"seq":1' + PREV),  # a second member of the same name
        rehashed(HEAD + b', "a":1' + PREV),  # a space
        rehashed(HEAD + b',"a":NaN' + PREV),
        rehashed(HEAD + b',"a":"\xff"' + PREV),
        rehashed(HEAD + b',"a":' + b"9" * 5000 + PREV),
        rehashed(HEAD + PREV)[:-1],
        rehashed(HEAD + PREV) + b"x",
        rehashed(HEAD + PREV).replace(b'"k"', b'"j"'),
    ],
)
def test_a_foreign_line_is_refused_in_words_that_quote_nothing(line: bytes) -> None:
    with pytest.raises(ValueError) as caught:
        unseal(line)
    assert str(caught.value) in {
        "does not end in a hash",
        "content and hash differ",
        "is not JSON",
        "is not a record in canonical form",
    }


def test_the_line_those_are_made_from_is_good() -> None:
    assert unseal(rehashed(HEAD + PREV))["kind"] == "k"


def test_times_go_there_and_back() -> None:
    assert parse_time(format_time(1_790_000_000.123456)) == pytest.approx(1_790_000_000.123456, abs=1e-6)
