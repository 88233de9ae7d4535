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
def fake() -> Iterator[FakeDaemon]:
    # Not tmp_path: a unix socket's path has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="fake-") as directory:
        fake = FakeDaemon(Path(directory))
        fake.start()
        yield fake
        fake.stop()


@pytest.fixture
def sandbox(fake: FakeDaemon) -> Iterator[Sandbox]:
    with Sandbox(address=fake.address) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _short_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for daemons that stay silent on purpose; the real bound has a test of its own."""
    for half in ("_async", "_sync"):
        monkeypatch.setattr(f"sandboxd_client.{half}.running.MARGIN_SECONDS", 0.2)
        monkeypatch.setattr(f"sandboxd_client.{half}.flight.ABANDON_SECONDS", 0.2)
        monkeypatch.setattr(f"sandboxd_client.{half}.flight.REPLAY_SECONDS", 0.3)
        monkeypatch.setattr(f"sandboxd_client.{half}.session.CLOSE_SECONDS", 0.5)
