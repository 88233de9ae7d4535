"""What an embedding process is told, once: the addresses, or why there are none."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from sandboxd import __version__

if TYPE_CHECKING:
    from sandboxd.config import Config
    from sandboxd.errors import SandboxdError


class Announcer:
    """Writes one JSON line to the ready descriptor, if there is one, and closes it."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def use(self, descriptor: int | None) -> None:
        """Announce on this descriptor; no child may inherit it, or its reader never sees the end."""
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
            self._descriptor = descriptor

    def ready(self, config: Config, own_address: str) -> None:
        """Tell where the daemon listens; `own_address` is the shorter way for its own user, "" where there is none."""
        self._write(
            {
                "address": config.address,
                "own_address": own_address,
                "admin_address": config.admin_address,
                "version": __version__,
            }
        )

    def failed(self, error: SandboxdError) -> None:
        """Tell why the daemon does not start."""
        self._write({"error": {"code": error.code.value, "message": error.message, "remedy": error.remedy}})

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: dict[str, object]) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(BrokenPipeError):  # nobody waits any more; the lifeline says the rest
                os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        self.close()
