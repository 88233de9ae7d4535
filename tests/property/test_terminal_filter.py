"""Laws of the filter between a sandbox and a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxd.cli.terminal import escape, escape_line, is_safe

ANYTHING = st.text(st.characters(codec=None, exclude_categories=()))
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "\x1b[2J",
                "\x1b]52;c;eA==\x07",
                "\x9b31m",
                "\x9d0;t\x9c",
                "\r",
                "\b",
                "\x7f",
                "\u202e",
                "\u2066",
                "\u200b",
            ]
        ),
        ANYTHING,
    )
).map("".join)


@given(HOSTILE)
def test_nothing_that_drives_or_deceives_a_terminal_is_left(text: str) -> None:
    shown = escape(text)
    assert all(is_safe(character) for character in shown)
    for character in shown:
        assert character in "\n\t" or unicodedata.category(character)[0] in "LMNPSZ"


@given(HOSTILE, HOSTILE)
def test_cutting_anywhere_changes_nothing(first: str, second: str) -> None:
    assert escape(first) + escape(second) == escape(first + second)


@given(HOSTILE)
def test_filtering_twice_is_filtering_once(text: str) -> None:
    assert escape(escape(text)) == escape(text)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("\n\t")))
def test_plain_text_passes_unchanged(text: str) -> None:
    assert escape(text) == text


@given(ANYTHING)
def test_a_line_is_one_line(text: str) -> None:
    shown = escape_line(text)
    assert shown.splitlines() in ([shown], [])
    assert "\t" not in shown


@given(HOSTILE)
def test_it_can_always_be_encoded(text: str) -> None:
    escape(text).encode("utf-8")


def test_every_control_format_and_private_character_of_unicode_is_written_out() -> None:
    for number in range(0x110000):
        character = chr(number)
        category = unicodedata.category(character)
        if category[0] == "C" or category in {"Zl", "Zp"}:
            assert is_safe(character) == (character in "\n\t"), hex(number)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\u202eb", "a\\u202eb"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("zażółć 漢字 😀 é\u0301", "zażółć 漢字 😀 é\u0301"),
        ("\r\n", "\\x0d\n"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert escape(text) == shown
