"""RPC errors and refusals become the client's errors here, and nowhere else.

What arrives is data: a detail that is malformed or of another domain is left out, never an error of its own.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Protocol, cast

import grpc
from google.protobuf.message import DecodeError
from sandboxd_proto.v1 import sandbox_pb2 as pb

from .errors import DAEMON_CODES, FAILURE_CLASSES, STATUSES, FaultError, RefusedError, SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DETAILS_KEY = "grpc-status-details-bin"
DOMAIN = "sandboxd"
ERROR_INFO = "google.rpc.ErrorInfo"
RETRY_LIMIT_SECONDS = 3600.0


class _Status(Protocol):
    """What both kinds of grpc's errors offer; grpc.RpcError itself declares nothing."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


def status_of(error: grpc.RpcError) -> grpc.StatusCode:
    """Return the status of an RPC error."""
    return cast("_Status", error).code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN


def error_from_rpc(error: grpc.RpcError) -> SandboxError:
    """Translate an RPC error: by the daemon's own code where it carries one, else by its status."""
    info = _error_info(error)
    if info is not None:
        return error_from_info(info)
    kind, code, remedy = STATUSES.get(status_of(error), STATUSES[grpc.StatusCode.UNKNOWN])
    details = (cast("_Status", error).details() if hasattr(error, "details") else None) or "no details"
    return kind(code, f"{status_of(error).name}: {details}", remedy=remedy)


@contextlib.contextmanager
def rpc_errors() -> Iterator[None]:
    """Translate what gRPC raises inside."""
    try:
        yield
    except grpc.RpcError as error:
        raise error_from_rpc(error) from error


def has_daemon_code(error: grpc.RpcError) -> bool:
    """Tell a refusal that the daemon wrote from a connection that failed."""
    return _error_info(error) is not None


def error_from_info(info: pb.ErrorInfo, retry_after_seconds: float = 0.0) -> SandboxError:
    """Translate the daemon's ErrorInfo: its failure class decides, then its code."""
    metadata = dict(info.metadata)
    message = metadata.pop("message", "") or "the daemon gave no message"
    remedy = metadata.pop("remedy", "")
    failure = metadata.pop("failure_class", "")
    retry = _seconds(metadata.pop("retry_after_seconds", "")) or _bounded(retry_after_seconds)
    kind = FAILURE_CLASSES.get(failure) or DAEMON_CODES.get(info.reason, RefusedError)
    return kind(
        info.reason or "INTERNAL", message, remedy=remedy, metadata=metadata, retry_after_seconds=retry
    )


def protocol_error(message: str) -> FaultError:
    """Return the error for an answer that the protocol does not allow."""
    return FaultError("PROTOCOL", message, remedy=STATUSES[grpc.StatusCode.UNIMPLEMENTED][2])


def _error_info(error: grpc.RpcError) -> pb.ErrorInfo | None:
    """Return the daemon's ErrorInfo from the trailing metadata, if there is a sound one."""
    trailing = cast("_Status", error).trailing_metadata() if hasattr(error, "trailing_metadata") else None
    for key, value in trailing or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _parse_details(value)
    return None


def _parse_details(value: bytes) -> pb.ErrorInfo | None:
    try:
        for detail in pb.RpcStatus.FromString(value).details:
            if detail.type_url.rpartition("/")[2] == ERROR_INFO:
                info = pb.ErrorInfo.FromString(detail.value)
                if info.domain == DOMAIN and info.reason:
                    return info
    except DecodeError:
        pass
    return None


def _seconds(text: str) -> float:
    try:
        return _bounded(float(text))
    except ValueError:
        return 0.0


def _bounded(seconds: float) -> float:
    """A caller may sleep this long: no negative, no NaN, no year."""
    return min(max(seconds, 0.0), RETRY_LIMIT_SECONDS) if math.isfinite(seconds) else 0.0
