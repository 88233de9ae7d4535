"""Errors on the wire: each code has its status, and the details carry the code in google.rpc's own encoding."""

from __future__ import annotations

import grpc
import pytest
from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.service.refusals import STATUS, answering, error_info, refused


class Context:
    """Keeps what a call was aborted with."""

    async def abort(self, code, details="", trailing_metadata=()):
        self.aborted = (code, details, dict(trailing_metadata))
        raise grpc.aio.AbortError


def test_each_code_has_a_status():
    assert STATUS.keys() == set(Code)
    assert grpc.StatusCode.OK not in STATUS.values()
    # A client library retries UNKNOWN and CANCELLED in ways of its own; none of ours says so little.
    assert {grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}.isdisjoint(STATUS.values())


@pytest.mark.parametrize("code", Code)
async def test_details_carry_the_code(code):
    context = Context()
    with pytest.raises(grpc.aio.AbortError):
        async with answering(context):
            raise SandboxdError(
                code,
                "What.",
                remedy="How.",
                failure=FailureClass.NOT_STARTED,
                retry_after_seconds=1.5,
                limit="pids",
            )
    status, _, metadata = context.aborted
    details = pb.RpcStatus.FromString(metadata["grpc-status-details-bin"])
    info = pb.ErrorInfo.FromString(details.details[0].value)
    assert (details.code, status) == (status.value[0], STATUS[code])
    assert details.details[0].type_url == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info.reason, info.domain) == (code.value, "sandboxd")
    assert dict(info.metadata) == {
        "message": "What.",
        "remedy": "How.",
        "failure_class": "NOT_STARTED",
        "retry_after_seconds": "1.5",
        "limit": "pids",
    }


async def test_what_is_no_error_of_ours_tells_nothing():
    context = Context()
    with pytest.raises(grpc.aio.AbortError):
        async with answering(context):
            raise ValueError("secret")
    assert context.aborted[0] == grpc.StatusCode.INTERNAL
    assert "secret" not in str(context.aborted)


def test_metadata_stays_below_what_a_client_takes():
    error = SandboxdError(Code.INTERNAL, "m" * 100_000, remedy="r" * 100_000, detail="d" * 100_000)
    assert len(error_info(error).SerializeToString()) < 8192
    assert refused(error).error.reason == "INTERNAL"
