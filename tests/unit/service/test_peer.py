"""Peer names are parsed strictly: whoever did not come through the acceptor has no identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.service.peer import PeerNames

NONCE = "0123456789abcdef"


class Context:
    def __init__(self, peer: str) -> None:
        self._peer = peer

    def peer(self) -> str:
        return self._peer


def uid(peer: str) -> int:
    return PeerNames(Path("/proc/self/fd/9")).uid(Context(peer))


@pytest.mark.parametrize("number", [0, 1, 1000, 65534, 2**32 - 2])
def test_a_name_of_the_acceptor_is_read(number):
    assert uid(f"unix:/proc/self/fd/9/u{number}.g5.p77.{NONCE}") == number


@pytest.mark.parametrize(
    "peer",
    [
        "unix:",
        "",
        "ipv4:127.0.0.1:5",
        f"unix:/tmp/u0.g0.p1.{NONCE}",
        f"unix:/proc/self/fd/99/u0.g0.p1.{NONCE}",
        f"unix:/proc/self/fd/9/x/u0.g0.p1.{NONCE}",
        f"unix:/proc/self/fd/9/../9/u0.g0.p1.{NONCE}",
        f"unix:/proc/self/fd/9/u0.g0.p1.{NONCE}x",
        f"unix:/proc/self/fd/9/u0.g0.p1.{NONCE}\n",
        f"unix:/proc/self/fd/9/u00.g0.p1.{NONCE}",
        f"unix:/proc/self/fd/9/u-1.g0.p1.{NONCE}",
        f"unix:/proc/self/fd/9/u٣.g0.p1.{NONCE}",
        f"unix:/proc/self/fd/9/u4294967295.g0.p1.{NONCE}",
        f"unix:/proc/self/fd/9/u0.g0.p1.{NONCE.upper()}",
        f"unix-abstract:/proc/self/fd/9/u0.g0.p1.{NONCE}",
        "unix:/proc/self/fd/9/u0.g0.p1.0",
    ],
)
def test_anything_else_is_refused(peer):
    with pytest.raises(SandboxdError) as caught:
        uid(peer)
    assert caught.value.code == Code.PERMISSION_DENIED


def test_an_embedded_daemon_s_one_user_needs_no_name():
    names = PeerNames(Path("/proc/self/fd/9"), only_uid=1000)
    assert names.uid(Context("unix:")) == 1000
    assert names.uid(Context(f"unix:/proc/self/fd/9/u7.g5.p77.{NONCE}")) == 7
    for stranger in ("", "ipv4:127.0.0.1:5", "unix:/tmp/x", "unix-abstract:x"):
        with pytest.raises(SandboxdError):
            names.uid(Context(stranger))
