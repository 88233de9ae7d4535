"""Invariant 13 over the wire: bounds, refusals with a time to come back, administration on its own socket."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from sandboxd_client import AsyncOneShot, AsyncSandbox, Limits, NotStartedError
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected, error_info, new_id

pytestmark = pytest.mark.userns
SLEEP = "import time\ntime.sleep({})"


async def refused_open(wire, **wish):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire.open(**wish)
    info = error_info(caught.value)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert info.metadata["failure_class"] == "NOT_STARTED"
    return info


async def test_sessions_are_bounded_and_a_closed_one_makes_room(start_daemon):
    daemon = start_daemon("--max-sessions", "2")
    async with connected(daemon.address) as wire:
        one, two = await wire.open(), await wire.open()
        info = await refused_open(wire)
        assert info.reason == "QUOTA_SESSIONS"
        assert float(info.metadata["retry_after_seconds"]) > 0
        await one.send(close=pb.Close())
        await one.event("closed")
        three = await wire.open()
        for stream in (two, three):
            stream.cut()


async def test_memory_is_reserved(start_daemon):
    daemon = start_daemon("--memory-total", "300MiB")
    async with connected(daemon.address) as wire:
        stream = await wire.open(limits=pb.Limits(memory_bytes=200 << 20))
        info = await refused_open(wire, limits=pb.Limits(memory_bytes=200 << 20))
        assert info.reason == "QUOTA_MEMORY"
        stream.cut()


async def test_one_shot_after_another_has_the_memory_of_the_last(start_daemon):
    daemon = start_daemon("--memory-total", "300MiB", "--max-sessions", "1")
    one_shot = AsyncOneShot("default", daemon.address, limits=Limits(memory_bytes=200 << 20))
    for number in range(10):  # each leaves a moment after its result: the next may come before that
        assert (await one_shot.run(f"{number} + 1")).text == str(number + 1)


async def test_less_memory_than_an_interpreter_needs_is_no_request(daemon):
    async with connected(daemon.address) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.open(limits=pb.Limits(memory_bytes=1))
        assert error_info(caught.value).reason == "INVALID_REQUEST"
        stream = await wire.open(limits=pb.Limits(memory_bytes=16 << 20))
        assert (await stream.run("1 + 1"))[-1].result.text == "2"
        stream.cut()


async def test_running_snippets_queue_in_turn_and_the_queue_is_bounded(start_daemon):
    daemon = start_daemon("--max-concurrent", "1", "--max-queue", "1")
    async with connected(daemon.address) as wire, connected(daemon.admin_address) as admin:
        streams = [await wire.open() for _ in range(3)]
        await streams[0].execute(SLEEP.format(0.8))
        await streams[0].event("verdict")
        waiting = await streams[1].execute("'second'")
        await asyncio.sleep(0.1)
        # Accepted but waiting: whoever asks must not conclude that it never starts.
        record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=waiting))
        assert record.state == pb.EXECUTION_STATE_RUNNING
        assert (await admin.admin.Stats(pb.StatsRequest())).queued == 1
        third = new_id()
        refused = (await streams[2].run("'third'", execution_id=third))[-1].refused
        assert refused.error.reason == "QUOTA_QUEUE"
        assert refused.retry_after_seconds > 0
        info = await wire.refusal(wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=third)))
        assert info.reason == "EXECUTION_NOT_FOUND"
        assert (await streams[1].event("result")).result.text == "'second'"
        # Refused means not started: the same id may come again.
        assert (await streams[2].run("'third'", execution_id=third))[-1].result.text == "'third'"
        for stream in streams:
            stream.cut()


async def test_a_waiting_snippet_can_be_interrupted(start_daemon):
    daemon = start_daemon("--max-concurrent", "1")
    async with connected(daemon.address) as wire:
        one, two = await wire.open(), await wire.open()
        await one.execute(SLEEP.format(1.0))
        await one.event("verdict")
        execution_id = await two.execute("1")
        await asyncio.sleep(0.1)
        await two.send(interrupt=pb.Interrupt(execution_id=execution_id))
        result = (await two.event("result")).result
        assert (result.outcome, result.evidence.code) == (pb.OUTCOME_CANCELLED, "client")
        assert (await one.event("result")).result.outcome == pb.OUTCOME_OK
        assert (await two.run("1"))[-1].result.outcome == pb.OUTCOME_OK
        for stream in (one, two):
            stream.cut()


async def test_connections_of_one_user_are_bounded(start_daemon):
    daemon = start_daemon("--max-connections", "2")
    async with connected(daemon.address) as one, connected(daemon.address) as two:
        for wire in (one, two):
            await wire.policies.List(pb.ListPoliciesRequest())
        async with connected(daemon.address) as three:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await three.policies.List(pb.ListPoliciesRequest())
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        with pytest.raises(NotStartedError) as refused:
            await AsyncSandbox(address=daemon.address).open()
        assert "takes no more connections of this user" in refused.value.message, (
            "a daemon is there, and says so"
        )
        assert "max_connections" in refused.value.remedy
    async with connected(daemon.address) as four:
        await four.policies.List(pb.ListPoliciesRequest(), wait_for_ready=True, timeout=5)


async def test_administration_is_on_the_admin_socket_alone(daemon):
    async with connected(daemon.address) as wire, connected(daemon.admin_address) as admin:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.admin.Stats(pb.StatsRequest())
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await admin.policies.List(pb.ListPoliciesRequest())
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_lists_show_display_ids_and_never_the_capability(daemon):
    async with connected(daemon.address) as wire, connected(daemon.admin_address) as admin:
        stream = await wire.open(labels={"team": "blue"})
        await stream.run("1")
        answer = await admin.admin.ListSessions(pb.ListSessionsRequest())
        mine = next(one for one in answer.sessions if one.display_id == stream.opened.display_id)
        assert (mine.executions, dict(mine.labels), mine.state) == (1, {"team": "blue"}, "idle")
        assert stream.opened.session_id.encode() not in answer.SerializeToString()
        stream.cut()


async def test_kill_ends_a_session_and_its_execution(daemon):
    async with connected(daemon.address) as wire, connected(daemon.admin_address) as admin:
        stream = await wire.open()
        await stream.execute("while True: pass")
        await stream.event("verdict")
        await admin.admin.Kill(pb.KillRequest(display_id=stream.opened.display_id, reason="a test"))
        result = (await stream.event("result")).result
        assert (result.outcome, result.evidence.code) == (pb.OUTCOME_KILLED, "operator")
        assert "a test" in (await stream.event("closed")).closed.reason
        info = await wire.refusal(admin.admin.Kill(pb.KillRequest(display_id="s-nobody")))
        assert info.reason == "SESSION_NOT_FOUND"


async def test_stats_count_outcomes(daemon):
    async with connected(daemon.address) as wire, connected(daemon.admin_address) as admin:
        stream = await wire.open()
        before = await admin.admin.Stats(pb.StatsRequest())
        await stream.run("1")
        await stream.run("1 / 0")
        after = await admin.admin.Stats(pb.StatsRequest())
        assert after.outcomes["ok"] == before.outcomes["ok"] + 1
        assert after.outcomes["error"] == before.outcomes["error"] + 1
        assert after.executions_total == before.executions_total + 2
        assert after.log_bytes > before.log_bytes
        assert after.incarnation
        stream.cut()


async def test_doctor_answers(daemon):
    async with connected(daemon.admin_address) as admin:
        checks = (await admin.admin.Doctor(pb.DoctorRequest())).checks
        assert not [one.id for one in checks if one.required and one.status != pb.CHECK_STATUS_OK]
        answers = {one.id: one for one in checks}
        assert answers["user-namespaces"].evidence == "tried"
        assert answers["state-dir"].found.startswith(
            str(daemon.state_dir)
        )  # its own settings, not its user's


async def test_policies_are_listed_told_and_checked(daemon):
    async with connected(daemon.address) as wire:
        summaries = (await wire.policies.List(pb.ListPoliciesRequest())).policies
        assert [one.name for one in summaries if one.is_default] == ["default"]
        told = await wire.policies.Get(pb.GetPolicyRequest())
        assert told.summary.name == "default"
        assert "math" in " ".join(told.allowed_imports)
        assert told.python_version
        assert told.yaml
        denied = await wire.policies.Check(pb.CheckRequest(code="import socket"))
        assert denied.verdict.decision == pb.DECISION_DENY
        assert denied.verdict.findings[0].hint
        allowed = await wire.policies.Check(pb.CheckRequest(code="import math"))
        assert allowed.verdict.decision in {pb.DECISION_ALLOW, pb.DECISION_WARN}
