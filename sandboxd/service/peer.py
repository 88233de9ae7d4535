"""Who is at the other end: the acceptor bound the answer into the address that gRPC sees.

gRPC tells a handler nothing of a unix peer but the name of its socket. The acceptor asks the kernel
(SO_PEERCRED), binds a socket named after the answer in a directory that only the daemon's user may enter,
and connects with it.

An embedded daemon has one user, its own. So who connects to gRPC's socket in that directory past the acceptor
is that user, by the directory's mode, and saves the way through it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from sandboxd.errors import Code, SandboxdError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"u(0|[1-9]\d{0,9})\.g(?:0|[1-9]\d{0,9})\.p(?:0|[1-9]\d{0,9})\.[0-9a-f]{16}", re.ASCII)
_UID_MAX = 2**32 - 2  # the last one is "no user" to the kernel


class HasPeer(Protocol):
    """What a servicer's context tells of its peer."""

    def peer(self) -> str:
        """Name the peer's address."""


class PeerNames:
    """Reads user ids from the addresses that the acceptor made below one directory.

    Args:
        directory: the daemon's private one (0700).
        only_uid: the one user of an embedded daemon, who may come without a name; None for a service.
    """

    def __init__(self, directory: Path, only_uid: int | None = None) -> None:
        self._prefix = f"unix:{directory}/"
        self._only_uid = only_uid

    def uid(self, context: HasPeer) -> int:
        """Tell the user id of the peer.

        Raises:
            SandboxdError: PERMISSION_DENIED when the acceptor did not make this connection.
        """
        peer = unquote(context.peer())
        if self._only_uid is not None and peer == "unix:":
            return self._only_uid
        if peer.startswith(self._prefix):
            found = _NAME.fullmatch(peer, len(self._prefix))
            if found is not None and int(found[1]) <= _UID_MAX:
                return int(found[1])
        raise SandboxdError(
            Code.PERMISSION_DENIED,
            "The connection did not come through the daemon's socket.",
            remedy="Connect to the address that the daemon announced.",
        )
