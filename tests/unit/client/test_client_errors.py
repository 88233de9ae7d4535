"""Errors: every status and every code has its place, and hostile details do no harm."""

from __future__ import annotations

import pickle

import grpc
import pytest
from fake_daemon import details, info
from sandboxd_client import (
    ClientCode,
    FaultError,
    InDoubtError,
    NotStartedError,
    RefusedError,
    SandboxError,
    SessionLostError,
)
from sandboxd_client._status import error_from_info, error_from_rpc, has_daemon_code
from sandboxd_client.errors import DAEMON_CODES, FAILURE_CLASSES, STATUSES, not_started
from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.errors import Code, FailureClass


class Failed(grpc.RpcError):
    def __init__(
        self, status: grpc.StatusCode, value: object = None, key: str = "grpc-status-details-bin"
    ) -> None:
        self._status = status
        self._trailing = () if value is None else ((key, value),)

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return "the details"

    def trailing_metadata(self) -> tuple[tuple[str, object], ...]:
        return self._trailing


def test_all_sixteen_statuses_have_a_class() -> None:
    assert set(STATUSES) == set(grpc.StatusCode) - {grpc.StatusCode.OK}
    assert len(STATUSES) == 16


@pytest.mark.parametrize("status", STATUSES)
def test_a_bare_status_becomes_its_error(status: grpc.StatusCode) -> None:
    kind, code, _ = STATUSES[status]
    error = error_from_rpc(Failed(status))
    assert type(error) is kind
    assert (error.code, "the details" in error.message) == (code, True)


def test_daemon_and_client_know_the_same_codes() -> None:
    assert set(DAEMON_CODES) == {code.value for code in Code}
    assert set(FAILURE_CLASSES) == {failure.value for failure in FailureClass}


def test_every_code_in_the_tables_is_known() -> None:
    known = set(DAEMON_CODES) | set(ClientCode)
    assert {code for _, code, _ in STATUSES.values()} <= known


@pytest.mark.parametrize("code", list(Code))
def test_the_daemons_code_decides_over_the_status(code: Code) -> None:
    error = error_from_rpc(Failed(grpc.StatusCode.UNKNOWN, details(info(code.value))))
    assert (type(error), error.code) == (DAEMON_CODES[code.value], code.value)
    assert (error.message, error.remedy) == (f"fake {code.value}", "do something")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [("NOT_STARTED", NotStartedError), ("IN_DOUBT", InDoubtError), ("SESSION_LOST", SessionLostError)],
)
def test_the_failure_class_decides_over_the_code(failure: str, kind: type[SandboxError]) -> None:
    assert type(error_from_info(info("INTERNAL", failure))) is kind


def test_an_unknown_code_of_a_newer_daemon_is_a_refusal() -> None:
    assert type(error_from_info(info("NEW_CODE", "NEW_CLASS"))) is RefusedError


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xff\xff",
        b"",
        "a string",
        details(pb.ErrorInfo(reason="X", domain="elsewhere.example")),
        details(pb.ErrorInfo(domain="sandboxd")),
        details(info("X"))[:-3],
    ],
)
def test_malformed_details_fall_back_to_the_status(value: object) -> None:
    failed = Failed(grpc.StatusCode.NOT_FOUND, value)
    assert not has_daemon_code(failed)
    assert type(error_from_rpc(failed)) is RefusedError


def test_an_rpc_error_without_a_status_is_a_fault() -> None:
    assert type(error_from_rpc(grpc.RpcError())) is FaultError


def test_control_characters_reach_no_terminal() -> None:
    error = SandboxError("CODE", "a\x1b[2Jb\u202ec", remedy="\x07", metadata={"raw": "\x1b"})
    assert not set("\x1b\x07\u202e") & set(str(error) + repr(error))
    assert len(SandboxError("CODE", "x" * 1_000_000).message) <= 4096


@pytest.mark.parametrize(
    ("text", "seconds"), [("1.5", 1.5), ("-1", 0), ("nan", 0), ("inf", 0), ("x", 0), ("1e9", 3600)]
)
def test_retry_after_is_a_sane_number(text: str, seconds: float) -> None:
    assert error_from_info(info("QUOTA_QUEUE", retry_after_seconds=text)).retry_after_seconds == seconds


def test_not_started_keeps_what_says_more() -> None:
    lost, doubt = SessionLostError("SESSION_LOST", "x"), InDoubtError("SESSION_BUSY", "x")
    assert not_started(lost) is lost
    assert not_started(doubt) is doubt
    refused = not_started(RefusedError("LIMIT_ABOVE_POLICY", "m", remedy="r", metadata={"a": "b"}))
    assert type(refused) is NotStartedError
    assert (refused.code, refused.message, refused.remedy, refused.metadata) == (
        "LIMIT_ABOVE_POLICY",
        "m",
        "r",
        {"a": "b"},
    )


def test_errors_survive_a_process_pool() -> None:
    error = InDoubtError("X", "m", remedy="r", metadata={"a": "b"}, retry_after_seconds=2.0)
    error.execution_id = "abc"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (InDoubtError, str(error), error.__dict__)
