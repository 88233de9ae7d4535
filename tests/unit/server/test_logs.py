"""Log lines: one line a record, nothing forged, nothing quoted from what a program said."""

from __future__ import annotations

import logging

import pytest

from sandboxd.server.logs import KeyValueFormatter


def line(message: str, error: BaseException | None = None, **extra: object) -> str:
    info = (type(error), error, error.__traceback__) if error is not None else None
    logger = logging.getLogger("sandboxd.x")
    record = logger.makeRecord(logger.name, logging.INFO, "f", 1, message, (), info, extra=extra)
    return KeyValueFormatter().format(record)


def test_extra_fields_are_keys():
    assert line("session opened", session="s-1", uid=5).endswith('event="session opened" session=s-1 uid=5')


def test_a_value_forges_no_line_and_no_terminal():
    text = line("x", reason="a\nlevel=info \x1b[2J \u202e b")
    assert "\n" not in text
    assert text.isascii()
    assert text.isprintable()


def test_an_exception_tells_type_and_place_and_not_what_it_quotes():
    with pytest.raises(ValueError) as caught:
        int("user-code")
    text = line("failed", caught.value)
    assert "ValueError at test_logs.py" in text
    assert "user-code" not in text
