"""Errors on the wire: one table from code to gRPC status, and the details that carry the stable code.

The details are `google.rpc.Status` with one `ErrorInfo`, byte for byte, under message names of our own.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.errors import Code, SandboxdError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sandboxd.service.context import Context

_logger = logging.getLogger(__name__)
_TYPE_URL = "type.googleapis.com/google.rpc.ErrorInfo"
_DETAILS_KEY = "grpc-status-details-bin"
_MESSAGE_MAX = 1024  # trailing metadata is small: 8 KiB in all

_S = grpc.StatusCode
STATUS: Mapping[Code, grpc.StatusCode] = {
    Code.INVALID_REQUEST: _S.INVALID_ARGUMENT,
    Code.POLICY_NOT_FOUND: _S.NOT_FOUND,
    Code.POLICY_INVALID: _S.FAILED_PRECONDITION,
    Code.POLICY_NOT_ALLOWED: _S.PERMISSION_DENIED,
    Code.LIMIT_ABOVE_POLICY: _S.PERMISSION_DENIED,
    Code.EXECUTION_ID_REUSED: _S.ALREADY_EXISTS,
    Code.EXECUTION_NOT_FOUND: _S.NOT_FOUND,
    Code.PERMISSION_DENIED: _S.PERMISSION_DENIED,
    Code.SESSION_NOT_FOUND: _S.NOT_FOUND,
    Code.SESSION_LOST: _S.NOT_FOUND,
    Code.SESSION_BUSY: _S.FAILED_PRECONDITION,
    Code.FORK_REFUSED: _S.FAILED_PRECONDITION,
    Code.FORK_FAILED: _S.RESOURCE_EXHAUSTED,
    Code.FORK_LIMIT: _S.RESOURCE_EXHAUSTED,
    Code.CHECKPOINT_NOT_FOUND: _S.NOT_FOUND,
    Code.TOOL_INVALID: _S.INVALID_ARGUMENT,
    Code.TOOL_UNKNOWN: _S.NOT_FOUND,
    Code.TOOL_DENIED: _S.PERMISSION_DENIED,
    Code.TOOL_ARGUMENTS: _S.INVALID_ARGUMENT,
    Code.TOOL_RESULT: _S.INVALID_ARGUMENT,
    Code.TOOL_BUDGET: _S.RESOURCE_EXHAUSTED,
    Code.TOOL_TIMEOUT: _S.DEADLINE_EXCEEDED,
    Code.QUOTA_SESSIONS: _S.RESOURCE_EXHAUSTED,
    Code.QUOTA_QUEUE: _S.RESOURCE_EXHAUSTED,
    Code.QUOTA_MEMORY: _S.RESOURCE_EXHAUSTED,
    Code.DRAINING: _S.UNAVAILABLE,
    Code.FILE_NOT_FOUND: _S.NOT_FOUND,
    Code.FILE_PATH_INVALID: _S.INVALID_ARGUMENT,
    Code.FILE_NOT_REGULAR: _S.FAILED_PRECONDITION,
    Code.FILE_TOO_LARGE: _S.RESOURCE_EXHAUSTED,
    Code.FILE_HASH_MISMATCH: _S.DATA_LOSS,
    Code.FILE_FAILED: _S.FAILED_PRECONDITION,
    Code.PROTECTION_MISSING: _S.FAILED_PRECONDITION,
    Code.USERNS_BLOCKED: _S.FAILED_PRECONDITION,
    Code.ENVIRONMENT_NOT_FOUND: _S.NOT_FOUND,
    Code.ENVIRONMENT_FAILED: _S.FAILED_PRECONDITION,
    Code.EXECUTOR_UNAVAILABLE: _S.UNAVAILABLE,
    Code.JAIL_FAILED: _S.INTERNAL,
    Code.LOG_FULL: _S.RESOURCE_EXHAUSTED,
    Code.LOG_FAILED: _S.UNAVAILABLE,
    Code.LOG_BROKEN: _S.UNAVAILABLE,
    Code.STATE_LOCKED: _S.FAILED_PRECONDITION,
    Code.STATE_VERSION: _S.FAILED_PRECONDITION,
    Code.CONFIG_INVALID: _S.FAILED_PRECONDITION,
    Code.SOCKET_UNUSABLE: _S.FAILED_PRECONDITION,
    Code.TCP_NOT_SUPPORTED: _S.FAILED_PRECONDITION,
    Code.DAEMON_RESTARTED: _S.ABORTED,
    Code.INTERNAL: _S.INTERNAL,
}


def error_info(error: SandboxdError) -> pb.ErrorInfo:
    """Put an error into the form that clients branch on."""
    metadata = {name: value[:_MESSAGE_MAX] for name, value in error.metadata.items()}
    metadata["message"] = error.message[:_MESSAGE_MAX]
    metadata["remedy"] = error.remedy[:_MESSAGE_MAX]
    if error.failure is not None:
        metadata["failure_class"] = error.failure.value
    if error.retry_after_seconds:
        metadata["retry_after_seconds"] = f"{error.retry_after_seconds:g}"
    return pb.ErrorInfo(reason=error.code.value, domain="sandboxd", metadata=metadata)


def refused(error: SandboxdError) -> pb.Refused:
    """Put an error into an event of the stream: this request was refused, the session stays."""
    return pb.Refused(error=error_info(error), retry_after_seconds=error.retry_after_seconds)


@contextlib.asynccontextmanager
async def answering(context: Context) -> AsyncIterator[None]:
    """End the call with status and details of what was raised; what is no `SandboxdError` tells nothing."""
    try:
        yield
    except SandboxdError as error:
        await abort(context, error)
    except (grpc.RpcError, grpc.aio.AbortError):
        raise
    except Exception:
        _logger.exception("call failed")
        await abort(context, SandboxdError(Code.INTERNAL, "The daemon failed.", remedy="Its log tells why."))


async def abort(context: Context, error: SandboxdError) -> None:
    """End the call with an error. Raises, always."""
    status = STATUS[error.code]
    detail = AnyMessage(type_url=_TYPE_URL, value=error_info(error).SerializeToString())
    rpc_status = pb.RpcStatus(code=status.value[0], message=error.message[:_MESSAGE_MAX], details=[detail])
    await context.abort(
        status,
        error.message[:_MESSAGE_MAX],
        trailing_metadata=((_DETAILS_KEY, rpc_status.SerializeToString()),),
    )
