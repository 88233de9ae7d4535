"""One guest a module for cells that leave it usable; tests that break theirs start their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.guest_harness import Guest


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with Guest() as running:
        yield running
        assert running.value("6 * 7") == "42", "a test left the shared guest unusable"


@pytest.fixture(scope="module")
def data_guest() -> Iterator[Guest]:
    with Guest(preload=("numpy", "pandas")) as running:
        yield running
