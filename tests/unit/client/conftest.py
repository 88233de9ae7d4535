"""A fake daemon for fault injection; what a real one can show is in tests/integration/test_client_*.py."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_daemon import FakeDaemon
from sandboxd_client import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    # Not tmp_path: a unix socket's path has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="fake-") as directory:
        daemon = FakeDaemon(Path(directory))
        daemon.start()
        yield daemon
        daemon.stop()


@pytest.fixture
def sandbox(daemon: FakeDaemon) -> Iterator[Sandbox]:
    with Sandbox(address=daemon.address) as sandbox:
        yield sandbox
