"""The error tree: every refusal and fault has a stable code, a message and a remedy.

The wire carries the code (`ErrorInfo.reason`); clients branch on it and never on text. A failing user program is no
error here: it is a result (see `sandboxd.events.Outcome`).
"""

from __future__ import annotations

from enum import StrEnum


class FailureClass(StrEnum):
    """What a client may conclude about an execution whose call failed. There is no fourth."""

    NOT_STARTED = "NOT_STARTED"  # nothing ran: safe to retry, also elsewhere
    IN_DOUBT = "IN_DOUBT"  # ask GetExecution; never run it again unasked
    SESSION_LOST = "SESSION_LOST"  # variables and files of the session are gone


class Code(StrEnum):
    """Stable codes. Never renamed, never reused."""

    # the request
    INVALID_REQUEST = "INVALID_REQUEST"
    POLICY_NOT_FOUND = "POLICY_NOT_FOUND"
    POLICY_INVALID = "POLICY_INVALID"
    POLICY_NOT_ALLOWED = "POLICY_NOT_ALLOWED"
    LIMIT_ABOVE_POLICY = "LIMIT_ABOVE_POLICY"
    EXECUTION_ID_REUSED = "EXECUTION_ID_REUSED"
    EXECUTION_NOT_FOUND = "EXECUTION_NOT_FOUND"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    # sessions
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    SESSION_LOST = "SESSION_LOST"
    SESSION_BUSY = "SESSION_BUSY"
    # fork, checkpoint, rollback
    FORK_REFUSED = "FORK_REFUSED"
    FORK_FAILED = "FORK_FAILED"
    FORK_LIMIT = "FORK_LIMIT"
    CHECKPOINT_NOT_FOUND = "CHECKPOINT_NOT_FOUND"
    # tools
    TOOL_INVALID = "TOOL_INVALID"
    TOOL_UNKNOWN = "TOOL_UNKNOWN"
    TOOL_DENIED = "TOOL_DENIED"
    TOOL_ARGUMENTS = "TOOL_ARGUMENTS"
    TOOL_RESULT = "TOOL_RESULT"
    TOOL_BUDGET = "TOOL_BUDGET"
    TOOL_TIMEOUT = "TOOL_TIMEOUT"
    # admission
    QUOTA_SESSIONS = "QUOTA_SESSIONS"
    QUOTA_QUEUE = "QUOTA_QUEUE"
    QUOTA_MEMORY = "QUOTA_MEMORY"
    DRAINING = "DRAINING"
    # files
    FILE_NOT_FOUND = "FILE_NOT_FOUND"
    FILE_PATH_INVALID = "FILE_PATH_INVALID"
    FILE_NOT_REGULAR = "FILE_NOT_REGULAR"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    FILE_HASH_MISMATCH = "FILE_HASH_MISMATCH"
    FILE_FAILED = "FILE_FAILED"
    # the host
    PROTECTION_MISSING = "PROTECTION_MISSING"
    USERNS_BLOCKED = "USERNS_BLOCKED"
    ENVIRONMENT_NOT_FOUND = "ENVIRONMENT_NOT_FOUND"
    ENVIRONMENT_FAILED = "ENVIRONMENT_FAILED"
    EXECUTOR_UNAVAILABLE = "EXECUTOR_UNAVAILABLE"
    JAIL_FAILED = "JAIL_FAILED"
    # the daemon
    LOG_FULL = "LOG_FULL"
    LOG_FAILED = "LOG_FAILED"
    LOG_BROKEN = "LOG_BROKEN"
    STATE_LOCKED = "STATE_LOCKED"
    STATE_VERSION = "STATE_VERSION"
    CONFIG_INVALID = "CONFIG_INVALID"
    SOCKET_UNUSABLE = "SOCKET_UNUSABLE"
    TCP_NOT_SUPPORTED = "TCP_NOT_SUPPORTED"
    DAEMON_RESTARTED = "DAEMON_RESTARTED"
    INTERNAL = "INTERNAL"


class SandboxdError(Exception):
    """A refusal or a fault with a stable code.

    Args:
        code: the stable code.
        message: one sentence: what is wrong, without user code or secrets.
        remedy: what to do about it.
        failure: the class a client may rely on; None where no execution is concerned.
        retry_after_seconds: when to come back; 0 for "not by waiting".
        **metadata: what the code names (strings).
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        remedy: str = "",
        failure: FailureClass | None = None,
        retry_after_seconds: float = 0.0,
        **metadata: str,
    ) -> None:
        super().__init__(f"{code}: {message}" + (f" {remedy}" if remedy else ""))
        self.code = code
        self.message = message
        self.remedy = remedy
        self.failure = failure
        self.retry_after_seconds = retry_after_seconds
        self.metadata = metadata


class StartError(SandboxdError):
    """The daemon cannot start: the command line exits with 3."""
