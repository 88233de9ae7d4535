"""The engine's image calls, for the command line: load, inspect, remove, save. Nothing here ever pulls."""

from __future__ import annotations

import errno
import http.client
import json
import shutil
import socket
from pathlib import Path
from typing import Any

from sandboxd.broker.http import quote
from sandboxd.errors import Code, SandboxdError

CALL_SECONDS = 30.0
LOAD_SECONDS = 600.0
_MAX_BYTES = 16 << 20
_FOUND, _NOT_FOUND, _FAILED = 200, 404, 300


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("engine", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ImageEngine:
    """One engine, by its socket.

    Raises (all methods):
        SandboxdError: EXECUTOR_UNAVAILABLE when it cannot be reached, ENVIRONMENT_FAILED when it refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, archive: Path) -> None:
        """Load an archive."""
        with archive.open("rb") as file:
            headers = {"Content-Type": "application/x-tar", "Content-Length": str(archive.stat().st_size)}
            status, raw = self._call("POST", "/images/load?quiet=1", file, headers, LOAD_SECONDS)
        # A failure half-way comes as a line of its own behind the status 200.
        said = [json.loads(line) for line in raw.splitlines() if line.strip()] if status == _FOUND else []
        errors = [str(line["error"]) for line in said if isinstance(line, dict) and "error" in line]
        if status != _FOUND or errors:
            raise _refused(errors[0] if errors else raw.decode("utf-8", "replace"))

    def inspect(self, reference: str) -> dict[str, Any] | None:
        """Return what the engine says of an image, None where it has none."""
        status, raw = self._call("GET", f"/images/{quote(reference)}/json")
        if status == _NOT_FOUND:
            return None
        if status >= _FAILED:
            raise _refused(raw.decode("utf-8", "replace"))
        found: dict[str, Any] = json.loads(raw)
        return found

    def remove(self, reference: str) -> None:
        """Remove an image, where it is there and nothing uses it."""
        status, raw = self._call("DELETE", f"/images/{quote(reference)}")
        if status >= _FAILED and status != _NOT_FOUND:
            raise _refused(raw.decode("utf-8", "replace"))

    def save(self, reference: str, target: Path) -> None:
        """Write an image of the engine's as an archive."""
        connection = _Connection(self._path, LOAD_SECONDS)
        try:
            connection.request("GET", f"/images/{quote(reference)}/get")
            answer = connection.getresponse()
            if answer.status != _FOUND:
                raise _refused(answer.read(_MAX_BYTES).decode("utf-8", "replace"))
            with target.open("wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
        except OSError as error:
            if error.errno == errno.ENOSPC:  # ours, not the engine's
                raise
            raise self._gone(error) from error
        except http.client.HTTPException as error:
            raise self._gone(error) from error
        finally:
            connection.close()

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        seconds: float = CALL_SECONDS,
    ) -> tuple[int, bytes]:
        connection = _Connection(self._path, seconds)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(_MAX_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error) from error
        finally:
            connection.close()

    def _gone(self, error: Exception) -> SandboxdError:
        return SandboxdError(
            Code.EXECUTOR_UNAVAILABLE,
            f"The container engine at {self._path} does not answer ({error}).",
            remedy="Start it, name its socket with --engine-socket, or use a user who may connect to it.",
        )


def _refused(said: str) -> SandboxdError:
    return SandboxdError(
        Code.ENVIRONMENT_FAILED,
        f"The container engine refused: {said[:300]}",
        remedy="Look at the room on the disk of its data (docker info: Docker Root Dir), and at its log.",
    )
