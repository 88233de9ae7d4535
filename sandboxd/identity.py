"""Session ids: capabilities that only the daemon which made them accepts.

A token is `<incarnation>.<160 random bits>.<MAC>`; the MAC is HMAC-SHA256 under the state directory's key. It
is the right to use a session, so it never stands in a log, a list or a process title: the display id does,
derived one way from the random part. A right MAC with another incarnation tells that the daemon was restarted
and the session with it is gone; a wrong MAC tells nothing at all.
"""

from __future__ import annotations

import base64
import hmac
import secrets

from sandboxd.errors import Code, FailureClass, SandboxdError

_RANDOM_BYTES = 20
_MAX_TOKEN_CHARS = 256
_DISPLAY_CHARS = 12


class SessionIds:
    """Mint and verify session tokens. Immutable.

    Args:
        key: the state directory's secret key.
        incarnation: the one of this daemon; sessions do not outlive it.
    """

    def __init__(self, key: bytes, incarnation: str) -> None:
        # One key for each purpose: a display id must never be of use as a MAC.
        self._mac_key = hmac.digest(key, b"sandboxd session token", "sha256")
        self._display_key = hmac.digest(key, b"sandboxd session display id", "sha256")
        self._incarnation = incarnation

    def mint(self) -> tuple[str, str]:
        """Make a new token and its display id."""
        content = f"{self._incarnation}.{_base32(secrets.token_bytes(_RANDOM_BYTES))}"
        return f"{content}.{self._mac(content)}", self._display_id(content)

    def verify(self, token: str) -> str:
        """Return the display id of a token that this daemon made.

        Raises:
            SandboxdError: SESSION_NOT_FOUND for what is no token of this state directory, SESSION_LOST for a
            token of
                an earlier daemon.
        """
        content, _, mac = token.rpartition(".") if len(token) <= _MAX_TOKEN_CHARS else ("", "", "")
        # As bytes: compare_digest refuses text outside ASCII, and a token is whatever a client sends.
        if not hmac.compare_digest(_octets(mac), _octets(self._mac(content))) or not content:
            raise SandboxdError(
                Code.SESSION_NOT_FOUND,
                "no such session",
                remedy="Open a new session.",
                failure=FailureClass.NOT_STARTED,
            )
        display_id = self._display_id(content)
        if content.rpartition(".")[0] != self._incarnation:
            raise SandboxdError(
                Code.SESSION_LOST,
                "the daemon was restarted: the session's variables, files, clones and checkpoints are gone",
                remedy="Open a new session and upload its files again.",
                failure=FailureClass.SESSION_LOST,
                session=display_id,
            )
        return display_id

    def _mac(self, content: str) -> str:
        return _base32(hmac.digest(self._mac_key, _octets(content), "sha256"))

    def _display_id(self, content: str) -> str:
        digest = hmac.digest(self._display_key, _octets(content), "sha256")
        return "s-" + _base32(digest)[:_DISPLAY_CHARS]


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()
