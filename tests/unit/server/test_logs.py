"""Log lines: one line a record, nothing forged, nothing quoted from what a program said."""

from __future__ import annotations

import logging
import sys

from sandboxd.server.logs import KeyValueFormatter


def line(message: str, error: BaseException | None = None, **extra: object) -> str:
    info = None
    if error is not None:
        try:
            raise error
        except BaseException:
            info = sys.exc_info()
    record = logging.Logger("sandboxd.x").makeRecord("sandboxd.x", 20, "f", 1, message, (), info, extra=extra)
    return KeyValueFormatter().format(record)


def test_extra_fields_are_keys():
    assert line("session opened", session="s-1", uid=5).endswith('event="session opened" session=s-1 uid=5')


def test_a_value_forges_no_line_and_no_terminal():
    text = line("x", reason="a\nlevel=info \x1b[2J \u202e b")
    assert "\n" not in text
    assert text.isascii()
    assert text.isprintable()


def test_an_exception_tells_type_and_place_and_not_what_it_quotes():
    text = line("failed", ValueError("user-code"))
    assert "exception=" in text
    assert "ValueError at test_logs.py" in text
    assert "user-code" not in text
