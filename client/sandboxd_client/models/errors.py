"""Why a model gave no reply."""

from __future__ import annotations

from enum import StrEnum

from sandboxd_client.errors import SandboxError


class ModelErrorCode(StrEnum):
    """Stable codes of model failures."""

    NOT_INSTALLED = "MODEL_CLIENT_NOT_INSTALLED"
    CONFIG_INVALID = "MODEL_CONFIG_INVALID"
    CONNECT_FAILED = "MODEL_CONNECT_FAILED"
    UNAUTHORIZED = "MODEL_UNAUTHORIZED"
    NOT_FOUND = "MODEL_NOT_FOUND"
    REQUEST_REFUSED = "MODEL_REQUEST_REFUSED"
    RATE_LIMITED = "MODEL_RATE_LIMITED"
    SERVER_ERROR = "MODEL_SERVER_ERROR"
    TIMED_OUT = "MODEL_TIMED_OUT"
    STREAM_CUT = "MODEL_STREAM_CUT"
    BAD_RESPONSE = "MODEL_BAD_RESPONSE"
    REPLY_TOO_LARGE = "MODEL_REPLY_TOO_LARGE"
    SCRIPT_ENDED = "MODEL_SCRIPT_ENDED"


class ModelError(SandboxError):
    """A model call that gave no reply.

    It never holds the request: no key, no prompt, and no chained exception of the HTTP library, whose request
    does.

    Args:
        code: the stable code.
        message: one sentence without secrets.
        remedy: what to do about it.
        status: the HTTP status, where there was one.
        retry_after_seconds: when the server wants to be asked again; 0 where it did not say.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        remedy: str = "",
        status: int | None = None,
        retry_after_seconds: float = 0.0,
    ) -> None:
        super().__init__(code, message, remedy=remedy, retry_after_seconds=retry_after_seconds)
        self.status = status
