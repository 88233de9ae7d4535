"""The client's error tree, by what a caller may conclude, and the one table from gRPC statuses to it.

For a call that runs code there are three failure classes and no fourth: `NotStartedError` (nothing ran),
`InDoubtError` (ask, never run it again unasked), `SessionLostError` (variables and files are gone). Calls
that run nothing end in `RefusedError` or `FaultError`. A program that fails is no error here: it is an
`Execution`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .results import Execution

TEXT_LIMIT = 4096


class ClientCode(StrEnum):
    """Codes that the client itself gives, beside the daemon's own. Never renamed, never reused."""

    ADDRESS_INVALID = "ADDRESS_INVALID"
    UNREACHABLE = "UNREACHABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    PROTOCOL = "PROTOCOL"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    NOT_OPEN = "NOT_OPEN"
    CLOSED = "CLOSED"
    FORKED = "FORKED"
    DAEMON_NOT_INSTALLED = "DAEMON_NOT_INSTALLED"
    DAEMON_START_FAILED = "DAEMON_START_FAILED"
    DAEMON_START_TIMEOUT = "DAEMON_START_TIMEOUT"
    DAEMON_ENDED = "DAEMON_ENDED"


class SandboxError(Exception):
    """Anything that sandboxd or its client could not do.

    Args:
        code: a stable code, the daemon's or one of `ClientCode`.
        message: one sentence: what is wrong.
        remedy: what to do about it, or "".
        metadata: what the code names.
        retry_after_seconds: when to come back; 0 for "not by waiting".
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        remedy: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float = 0.0,
    ) -> None:
        # A terminal or a log shows this text: control characters in it would be the sender's to choose.
        self.code = printable(code)
        self.message = printable(message)
        self.remedy = printable(remedy)
        self.metadata = dict(metadata or {})
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{self.code}: {self.message}" + (f" {self.remedy}" if self.remedy else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.code, self.message, self.__dict__)


class NotStartedError(SandboxError):
    """Nothing ran: it is safe to try again, also elsewhere."""


class DaemonStartError(NotStartedError):
    """The private daemon could not be started."""


class InDoubtError(SandboxError):
    """The execution may have run, or may still run: ask with `get_execution`, never run it again unasked."""

    execution_id: str = ""


class SessionLostError(SandboxError):
    """The session's variables and files are gone; `execution` is what the log knows of the one that ran."""

    execution: Execution | None = None


class RefusedError(SandboxError):
    """The daemon said no: to the request, under the policy, or because a file is not there."""


class FaultError(SandboxError):
    """The daemon or the connection failed in a call that runs no code."""


FAILURE_CLASSES: dict[str, type[SandboxError]] = {
    "NOT_STARTED": NotStartedError,
    "IN_DOUBT": InDoubtError,
    "SESSION_LOST": SessionLostError,
}

DAEMON_CODES: dict[str, type[SandboxError]] = {
    "INVALID_REQUEST": RefusedError,
    "POLICY_NOT_FOUND": RefusedError,
    "POLICY_INVALID": RefusedError,
    "POLICY_NOT_ALLOWED": RefusedError,
    "LIMIT_ABOVE_POLICY": RefusedError,
    "EXECUTION_ID_REUSED": RefusedError,
    "EXECUTION_NOT_FOUND": RefusedError,
    "PERMISSION_DENIED": RefusedError,
    "SESSION_NOT_FOUND": SessionLostError,
    "SESSION_LOST": SessionLostError,
    "SESSION_BUSY": NotStartedError,
    "FORK_REFUSED": RefusedError,
    "FORK_FAILED": RefusedError,
    "FORK_LIMIT": RefusedError,
    "CHECKPOINT_NOT_FOUND": RefusedError,
    "TOOL_INVALID": RefusedError,
    "TOOL_UNKNOWN": RefusedError,
    "TOOL_DENIED": RefusedError,
    "TOOL_ARGUMENTS": RefusedError,
    "TOOL_RESULT": RefusedError,
    "TOOL_BUDGET": RefusedError,
    "TOOL_TIMEOUT": RefusedError,
    "QUOTA_SESSIONS": NotStartedError,
    "QUOTA_QUEUE": NotStartedError,
    "QUOTA_MEMORY": NotStartedError,
    "DRAINING": NotStartedError,
    "FILE_NOT_FOUND": RefusedError,
    "FILE_PATH_INVALID": RefusedError,
    "FILE_NOT_REGULAR": RefusedError,
    "FILE_TOO_LARGE": RefusedError,
    "FILE_HASH_MISMATCH": FaultError,
    "FILE_FAILED": RefusedError,
    "PROTECTION_MISSING": RefusedError,
    "USERNS_BLOCKED": RefusedError,
    "ENVIRONMENT_NOT_FOUND": RefusedError,
    "ENVIRONMENT_FAILED": FaultError,
    "EXECUTOR_UNAVAILABLE": FaultError,
    "JAIL_FAILED": FaultError,
    "LOG_FULL": NotStartedError,
    "LOG_FAILED": NotStartedError,
    "LOG_BROKEN": FaultError,
    "STATE_LOCKED": FaultError,
    "STATE_VERSION": FaultError,
    "CONFIG_INVALID": FaultError,
    "SOCKET_UNUSABLE": FaultError,
    "TCP_NOT_SUPPORTED": FaultError,
    "DAEMON_RESTARTED": SessionLostError,
    "INTERNAL": FaultError,
}
"""What each of the daemon's codes means where the daemon names no failure class itself."""

_UPGRADE = "Client and daemon may be of different versions: upgrade the older one."
_REACH = "Is the daemon running (`sandboxd serve`)? Without SANDBOXD_ADDRESS the client starts a private one."

STATUSES: dict[grpc.StatusCode, tuple[type[SandboxError], str, str]] = {
    grpc.StatusCode.CANCELLED: (FaultError, ClientCode.CANCELLED, ""),
    grpc.StatusCode.UNKNOWN: (FaultError, ClientCode.PROTOCOL, _UPGRADE),
    grpc.StatusCode.INVALID_ARGUMENT: (RefusedError, "INVALID_REQUEST", ""),
    grpc.StatusCode.DEADLINE_EXCEEDED: (FaultError, ClientCode.DEADLINE_EXCEEDED, "Give the call more time."),
    grpc.StatusCode.NOT_FOUND: (RefusedError, "INVALID_REQUEST", ""),
    grpc.StatusCode.ALREADY_EXISTS: (RefusedError, "INVALID_REQUEST", ""),
    grpc.StatusCode.PERMISSION_DENIED: (RefusedError, "PERMISSION_DENIED", ""),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        RefusedError,
        "QUOTA_QUEUE",
        "Send less at once, or come back later.",
    ),
    grpc.StatusCode.FAILED_PRECONDITION: (RefusedError, "INVALID_REQUEST", ""),
    grpc.StatusCode.ABORTED: (FaultError, ClientCode.CANCELLED, ""),
    grpc.StatusCode.OUT_OF_RANGE: (RefusedError, "INVALID_REQUEST", ""),
    grpc.StatusCode.UNIMPLEMENTED: (FaultError, ClientCode.PROTOCOL, _UPGRADE),
    grpc.StatusCode.INTERNAL: (FaultError, "INTERNAL", "The daemon's log has more."),
    grpc.StatusCode.UNAVAILABLE: (FaultError, ClientCode.UNREACHABLE, _REACH),
    grpc.StatusCode.DATA_LOSS: (FaultError, "INTERNAL", "The daemon's log has more."),
    grpc.StatusCode.UNAUTHENTICATED: (RefusedError, ClientCode.UNAUTHENTICATED, ""),
}
"""Every status but OK: the class, code and remedy of an RPC error that carries no code of the daemon's."""


def printable(text: str) -> str:
    """Return text for a terminal: bounded, control characters (and bidi overrides) replaced."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text[:TEXT_LIMIT]
    )


def not_started(error: SandboxError) -> SandboxError:
    """Return a refusal or fault as NotStartedError, for a call that provably ran nothing."""
    if not isinstance(error, RefusedError | FaultError):
        return error
    return NotStartedError(
        error.code,
        error.message,
        remedy=error.remedy,
        metadata=error.metadata,
        retry_after_seconds=error.retry_after_seconds,
    )


def _rebuild(kind: type[SandboxError], code: str, message: str, state: dict[str, object]) -> SandboxError:
    """Unpickle: a keyword-only signature needs help, and process pools pickle exceptions."""
    error = kind(code, message)
    error.__dict__.update(state)
    error.args = (f"{error.code}: {error.message}" + (f" {error.remedy}" if error.remedy else ""),)
    return error
