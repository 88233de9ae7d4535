"""What both kinds of channel share: addresses, options, deadlines, and the end of a stream."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from .errors import ClientCode, RefusedError, SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable

MAILBOX_EVENTS = 64
"""Events held for a slow reader; beyond them HTTP/2 flow control and then the daemon's own ring hold back."""

SHARED_MAX = 64
"""Sandboxes on one connection: a daemon takes 256 calls at once on each, and a sandbox has few beside its stream."""
WAKE = pb.SessionEvent()
"""An event of nothing, put into a mailbox on this side: a tool has finished, so whoever receives has something to tell."""

UNIX_PATH_BYTES = 107
"""A unix socket's path: 108 bytes with its terminating zero."""

OPTIONS: tuple[tuple[str, int], ...] = (
    # At most once: gRPC would otherwise replay a call whose stream broke before the first answer.
    ("grpc.enable_retries", 0),
    # No resolver may hand us a service config with a retry policy, and no http_proxy may see the traffic.
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_http_proxy", 0),
    # A frozen daemon or a partition shows within 15 s, also while an execution is silent.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Reconnecting is bounded by the caller's deadline, so come back soon; and share no connection state by
    # accident.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
)


def check_address(address: str) -> str:
    """Return the address when it is one this client speaks to.

    Raises:
        RefusedError: it is no unix socket (a session id is a capability: it crosses no network in the clear).
    """
    path = socket_path(address)
    if not path:
        raise RefusedError(
            ClientCode.ADDRESS_INVALID,
            f"{address!r} is no address of a unix socket.",
            remedy="Write unix:/path/to/sandboxd.sock.",
        )
    if len(path.encode()) > UNIX_PATH_BYTES:
        raise RefusedError(
            ClientCode.ADDRESS_INVALID,
            f"The socket's path has more than {UNIX_PATH_BYTES} bytes.",
            remedy="Use a shorter directory.",
        )
    return address


def socket_path(address: str) -> str:
    """Return the path of a `unix:` address, or ""."""
    scheme, colon, path = address.partition(":")
    if scheme != "unix" or not colon:
        return ""
    return "/" + path.lstrip("/") if path.startswith("//") else path


def listening(address: str) -> bool:
    """Say whether a process listens at the address; in doubt it does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog must not hold us
        try:
            probe.connect(socket_path(address))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


class Deadline:
    """A moment on the monotonic clock, `seconds` from now."""

    __slots__ = ("_at", "_clock")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def remaining(self) -> float:
        """Return the seconds left, never below 0."""
        return max(0.0, self._at - self._clock())

    def passed(self) -> bool:
        """Say whether it is over."""
        return self._clock() >= self._at

    def at_most(self, seconds: float) -> Deadline:
        """Return the earlier of this moment and `seconds` from now."""
        return Deadline(min(self.remaining(), seconds), self._clock)


class StreamBrokenError(Exception):
    """The session stream ended. `error` is what the daemon itself said, None for a cut connection."""

    def __init__(self, error: SandboxError | None = None) -> None:
        super().__init__("the session stream ended")
        self.error = error
