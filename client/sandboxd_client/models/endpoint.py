"""Where a model server is, and the key for it, which must not get out."""

from __future__ import annotations

import importlib
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from sandboxd_client.models.errors import ModelError, ModelErrorCode

if TYPE_CHECKING:
    import httpx


class Secret:
    """A string that shows itself to nobody who did not ask by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret()"

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A checked address of a chat completions server, with its key."""

    url: str
    shown: str  # the base URL without its query, for people
    encrypted: bool
    loopback: bool
    key: Secret

    @classmethod
    def parse(cls, base_url: str, key: str) -> Endpoint:
        """Check a base URL and a key.

        Raises:
            ModelError: the URL cannot be used, or the key would cross a network in the clear.
        """
        parts = _split(base_url.strip())
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise _invalid("The base URL is no http(s) URL.", "Write it like https://host/v1.")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise _invalid("The base URL holds more than an address.", "Give the key as api_key.")
        if not key.isascii() or any(character.isspace() for character in key):
            raise _invalid("The API key holds characters that no key has.", "Check for a stray line feed.")
        encrypted = parts.scheme == "https"
        loopback = _is_loopback(parts.hostname)
        if key and not encrypted and not loopback:
            raise _invalid("The API key would cross the network unencrypted.", "Use https, or no key.")
        base = base_url.strip().rstrip("/")
        return cls(f"{base}/chat/completions", base, encrypted, loopback, Secret(key))

    def authorize(self, request: httpx.Request) -> httpx.Request:
        """Put the key into a request that is about to be sent."""
        if self.key.reveal():
            request.headers["Authorization"] = f"Bearer {self.key.reveal()}"
        return request


def load_httpx() -> Any:
    """Import httpx when it is first needed: a plain install of the client does without.

    Raises:
        ModelError: it is not installed.
    """
    try:
        return importlib.import_module("httpx")
    except ImportError:
        pass
    raise ModelError(
        ModelErrorCode.NOT_INSTALLED,
        "The model client needs httpx, which is not installed.",
        remedy="Run: pip install 'sandboxd[agent]'",
    )


def _invalid(message: str, remedy: str) -> ModelError:
    return ModelError(ModelErrorCode.CONFIG_INVALID, message, remedy=remedy)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
    except ValueError:
        return None
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
