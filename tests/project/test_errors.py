"""Daemon, documentation and client know the same codes."""

from __future__ import annotations

import re
from pathlib import Path

from sandboxd_client.errors import DAEMON_CODES, FAILURE_CLASSES

from sandboxd.errors import Code, FailureClass

ERRORS = Path(__file__).parents[2] / "protos" / "ERRORS.md"


def test_every_code_has_a_row_in_the_order_of_the_enum() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+) \| (.+) \|$", ERRORS.read_text(), re.MULTILINE)
    assert [code for code, _, _ in rows] == [code.value for code in Code]


def test_every_failure_class_is_explained() -> None:
    assert all(f"`{name}`" in ERRORS.read_text() for name in FailureClass)


def test_the_client_maps_every_code_and_class_of_the_daemon() -> None:
    assert list(DAEMON_CODES) == [code.value for code in Code]
    assert list(FAILURE_CLASSES) == [name.value for name in FailureClass]
