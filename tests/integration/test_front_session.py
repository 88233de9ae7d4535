"""Sessions over the wire: one outcome an execution, at most once, and a life beyond the stream."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import Wire, connected, error_info, kinds, new_id, stdout

pytestmark = pytest.mark.userns
SLEEP = "import time\ntime.sleep({})\nprint('slept')"


@pytest.fixture
async def wire(daemon):
    async with connected(daemon.address) as found:
        yield found


@pytest.fixture
async def stream(wire):
    found = await wire.open()
    yield found
    found.cut()


async def test_opened_reports_limits_and_protections(stream):
    opened = stream.opened
    assert opened.display_id.startswith("s-")
    assert opened.limits.wall_seconds > 0
    assert opened.executor == "process"
    assert {one.name for one in opened.protections if one.active} >= {"user_namespace", "seccomp"}


async def test_verdict_comes_first_then_output_then_the_result(stream):
    events = await stream.run("print('hello')\n1 + 1")
    assert kinds(events)[0] == "verdict"
    assert kinds(events)[-1] == "result"
    assert stdout(events) == b"hello\n"
    assert events[-1].result.outcome == pb.OUTCOME_OK
    assert events[-1].result.text == "2"
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences))
    assert sequences[0] == 1
    assert {event.request_id for event in events} == {2}


async def test_variables_live_from_one_snippet_to_the_next(stream):
    await stream.run("x = 41")
    assert (await stream.run("x + 1"))[-1].result.text == "42"


async def test_a_failing_program_is_a_result(stream):
    result = (await stream.run("1 / 0"))[-1].result
    assert result.outcome == pb.OUTCOME_ERROR
    assert result.error.name == "ZeroDivisionError"


async def test_a_syntax_error_is_the_programs_error_not_a_denial(stream):
    result = (await stream.run("def f(:\n  pass"))[-1].result
    assert result.outcome == pb.OUTCOME_ERROR
    assert result.error.name == "SyntaxError"


async def test_a_denied_snippet_has_verdict_outcome_and_record(wire, stream):
    execution_id = await stream.execute("import socket")
    events = await stream.until_last()
    assert kinds(events) == ["verdict", "result"]
    assert events[0].verdict.decision == pb.DECISION_DENY
    result = events[1].result
    assert (result.outcome, result.evidence.source) == (pb.OUTCOME_DENIED, "screen")
    assert result.evidence.code == events[0].verdict.findings[0].rule
    record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=execution_id))
    assert record.result.outcome == pb.OUTCOME_DENIED


async def test_a_second_execute_is_busy_and_the_first_goes_on(stream):
    first = await stream.execute(SLEEP.format(0.5))
    await stream.event("verdict")
    second = await stream.execute("1")
    refused = await stream.event("refused")
    assert (refused.execution_id, refused.refused.error.reason) == (second, "SESSION_BUSY")
    assert refused.refused.error.metadata["failure_class"] == "NOT_STARTED"
    result = await stream.event("result")
    assert (result.execution_id, result.result.outcome) == (first, pb.OUTCOME_OK)


async def test_a_timeout_narrows_the_wall_limit(stream):
    result = (await stream.run("while True: pass", timeout_seconds=0.3))[-1].result
    assert result.outcome == pb.OUTCOME_TIMEOUT_WALL
    assert result.usage.wall_seconds < 2


@pytest.mark.parametrize("wanted", [1e9, -1.0, float("nan"), float("inf")])
async def test_a_timeout_beyond_the_policy_is_refused(stream, wanted):
    event = (await stream.run("1", timeout_seconds=wanted))[-1]
    assert event.refused.error.reason in {"LIMIT_ABOVE_POLICY", "INVALID_REQUEST"}
    assert (await stream.run("1"))[-1].result.outcome == pb.OUTCOME_OK


@pytest.mark.parametrize("execution_id", ["short", "x" * 65, "with space", "nul\0nul-nul"])
async def test_a_bad_execution_id_is_refused(stream, execution_id):
    event = (await stream.run("1", execution_id=execution_id))[-1]
    assert event.refused.error.reason == "INVALID_REQUEST"


async def test_interrupt_cancels_and_the_session_stays(stream):
    execution_id = await stream.execute("while True: pass")
    await stream.event("verdict")
    await asyncio.sleep(0.1)
    await stream.send(interrupt=pb.Interrupt(execution_id=execution_id))
    result = (await stream.event("result")).result
    assert (result.outcome, result.evidence.code) == (pb.OUTCOME_CANCELLED, "client")
    assert (await stream.run("1"))[-1].result.outcome == pb.OUTCOME_OK


async def test_interrupt_of_an_unknown_execution_is_refused(stream):
    await stream.send(interrupt=pb.Interrupt(execution_id=new_id()))
    assert (await stream.event("refused")).refused.error.reason == "EXECUTION_NOT_FOUND"


async def test_a_repeated_id_is_answered_and_not_run_again(stream):
    await stream.run("n = 0")
    execution_id = await stream.execute("n += 1\nprint(n)")
    first = await stream.until_last()
    await stream.execute("n += 1\nprint(n)", execution_id)
    again = await stream.until_last()
    assert [event.sequence for event in again] == [event.sequence for event in first]
    assert {event.request_id for event in again} == {4}
    assert (await stream.run("n"))[-1].result.text == "1"


async def test_an_older_repeated_id_is_answered_from_the_record(stream):
    await stream.run("m = 0")
    old = await stream.execute("m += 1\nm")
    await stream.until_last()
    await stream.run("0")
    await stream.execute("m += 1\nm", old)
    event = (await stream.until_last())[-1]
    assert (event.execution_id, event.result.outcome, event.sequence) == (old, pb.OUTCOME_OK, 0)
    assert (await stream.run("m"))[-1].result.text == "1"


async def test_an_id_with_another_source_is_reused(stream):
    execution_id = await stream.execute("1")
    await stream.until_last()
    for step in ("2", "0"):
        event = (await stream.run("2", execution_id=execution_id))[-1]
        assert event.refused.error.reason == "EXECUTION_ID_REUSED"
        await stream.run(step)  # the second time round it is no longer the last one


async def test_an_id_of_another_session_is_reused(wire, stream):
    execution_id = await stream.execute(SLEEP.format(0.4))
    other = await wire.open()
    event = (await other.run(SLEEP.format(0.4), execution_id=execution_id))[-1]
    assert event.refused.error.reason == "EXECUTION_ID_REUSED"
    assert (await stream.event("result")).result.outcome == pb.OUTCOME_OK
    other.cut()


async def test_a_broken_stream_does_not_stop_the_execution(wire, stream):
    execution_id = await stream.execute("print('before')\n" + SLEEP.format(0.5) + "\nkept = 7")
    seen = await stream.event("stdout")
    stream.cut()
    again = await wire.attach(stream.opened.session_id, after=seen.sequence)
    assert again.opened.display_id == stream.opened.display_id
    events = await again.until_last()
    assert stdout(events) == b"slept\n"
    assert (events[-1].execution_id, events[-1].result.outcome) == (execution_id, pb.OUTCOME_OK)
    assert (await again.run("kept"))[-1].result.text == "7"
    again.cut()


async def test_an_outcome_waits_for_its_client(wire, stream):
    execution_id = await stream.execute("print('alone')")
    await stream.event("verdict")
    stream.cut()
    await asyncio.sleep(0.3)
    again = await wire.attach(stream.opened.session_id)
    events = await again.until_last()
    assert kinds(events) == ["verdict", "stdout", "result"]
    record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=execution_id))
    assert record.state == pb.EXECUTION_STATE_FINISHED
    assert not record.output_expired
    assert stdout(list(record.events)) == b"alone\n"
    again.cut()


async def test_a_new_stream_takes_over_and_the_old_one_is_told(wire, stream):
    again = await wire.attach(stream.opened.session_id)
    assert (await stream.event("closed")).closed.reason == "attached elsewhere"
    assert (await again.run("5"))[-1].result.text == "5"
    again.cut()


async def test_a_session_ends_with_its_lease(wire):
    stream = await wire.open(lease_seconds=0.2)
    stream.cut()
    await asyncio.sleep(0.8)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire.attach(stream.opened.session_id)
    info = error_info(caught.value)
    assert (info.reason, info.metadata["failure_class"]) == ("SESSION_LOST", "SESSION_LOST")
    assert "lease" in info.metadata["message"]


async def test_the_lease_runs_only_after_the_execution(wire):
    stream = await wire.open(lease_seconds=0.2)
    execution_id = await stream.execute(SLEEP.format(0.8))
    await stream.event("verdict")
    stream.cut()
    await asyncio.sleep(1.5)
    record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=execution_id))
    assert record.result.outcome == pb.OUTCOME_OK
    assert record.output_expired


async def test_close_ends_the_session_and_says_so(wire, stream):
    await stream.send(close=pb.Close())
    assert "client" in (await stream.event("closed")).closed.reason
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire.attach(stream.opened.session_id)
    assert error_info(caught.value).reason == "SESSION_LOST"


async def test_close_in_mid_execution_leaves_one_outcome(wire, stream):
    execution_id = await stream.execute("while True: pass")
    await stream.event("verdict")
    await stream.send(close=pb.Close())
    events = await stream.until_last()
    assert events[-1].result.outcome == pb.OUTCOME_CANCELLED
    await stream.event("closed")
    record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=execution_id))
    assert record.result.outcome == pb.OUTCOME_CANCELLED


async def test_a_half_closed_stream_gets_its_result(stream):
    await stream.execute(SLEEP.format(0.3))
    await stream.call.done_writing()
    assert (await stream.event("result")).result.outcome == pb.OUTCOME_OK
    assert await stream.read() is None
    assert await stream.call.code() == grpc.StatusCode.OK


@pytest.mark.parametrize("request_kind", ["execute", "close"])
async def test_a_stream_begins_with_open_or_attach(wire, request_kind):
    message = {"execute": pb.Execute(execution_id=new_id(), code="1"), "close": pb.Close()}[request_kind]
    call = wire.sandbox.Session()
    await call.write(pb.SessionRequest(**{request_kind: message}))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert error_info(caught.value).reason == "INVALID_REQUEST"


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "x" * 5000])
async def test_a_forged_token_finds_nothing(wire, token):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire.attach(token)
    assert error_info(caught.value).reason == "SESSION_NOT_FOUND"


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"policy": "no-such-policy"}, "POLICY_NOT_FOUND"),
        ({"limits": pb.Limits(wall_seconds=1e6)}, "LIMIT_ABOVE_POLICY"),
        ({"lease_seconds": 1e9}, "LIMIT_ABOVE_POLICY"),
        ({"lease_seconds": float("nan")}, "LIMIT_ABOVE_POLICY"),
        ({"labels": {"k": "v" * 1000}}, "INVALID_REQUEST"),
    ],
)
async def test_an_open_beyond_the_policy_is_refused(wire, wish, reason):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire.open(**wish)
    info = error_info(caught.value)
    assert (info.reason, info.metadata["failure_class"]) == (reason, "NOT_STARTED")
    assert info.metadata["remedy"]


async def test_a_flood_of_output_is_bounded_and_counted(stream):
    events = await stream.run("import sys\nfor i in range(300000): sys.stdout.write('0123456789')")
    result = events[-1].result
    kept = len(stdout(events))
    assert kept <= stream.opened.limits.output_bytes + 65536
    dropped = max(result.stdout_dropped_bytes, sum(event.stdout.dropped_bytes for event in events))
    assert result.outcome == pb.OUTCOME_OUTPUT_LIMIT or kept + dropped == 3_000_000


async def test_an_unread_stream_costs_no_memory_and_stops_nothing(wire, stream):
    """Invariant 14: the guest never waits for the client."""
    execution_id = await stream.execute("for i in range(20000): print('x' * 40)\nprint('end')")
    await asyncio.sleep(1.0)
    record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=execution_id))
    assert record.state == pb.EXECUTION_STATE_FINISHED
    assert (await stream.until_last())[-1].result.outcome in {pb.OUTCOME_OK, pb.OUTCOME_OUTPUT_LIMIT}


async def test_run_opens_executes_and_closes(wire: Wire):
    request = pb.RunRequest(execute=pb.Execute(execution_id=new_id(), code="print(6 * 7)"))
    events = [event async for message in wire.sandbox.Run(request) for event in (message, *message.more)]
    assert kinds(events) == ["opened", "verdict", "stdout", "result"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire.attach(events[0].opened.session_id)
    assert error_info(caught.value).reason == "SESSION_LOST"


async def test_a_broken_run_ends_with_an_outcome_and_closes(wire: Wire):
    execution_id = new_id()
    call = wire.sandbox.Run(
        pb.RunRequest(execute=pb.Execute(execution_id=execution_id, code=SLEEP.format(0.5)))
    )
    opened = await call.read()
    await call.read()
    call.cancel()
    await asyncio.sleep(1.2)
    record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=execution_id))
    assert record.result.outcome == pb.OUTCOME_OK
    with pytest.raises(grpc.aio.AioRpcError):
        await wire.attach(opened.opened.session_id)


async def test_a_run_with_a_bad_id_leaves_no_session(wire, daemon):
    async with connected(daemon.admin_address) as admin:
        before = (await admin.admin.Stats(pb.StatsRequest())).sessions
        with pytest.raises(grpc.aio.AioRpcError):
            async for _ in wire.sandbox.Run(pb.RunRequest(execute=pb.Execute(execution_id="bad", code="1"))):
                pass
        await asyncio.sleep(0.5)
        assert (await admin.admin.Stats(pb.StatsRequest())).sessions <= before


async def test_an_unknown_execution_is_not_found(wire):
    info = await wire.refusal(wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=new_id())))
    assert info.reason == "EXECUTION_NOT_FOUND"


async def test_cut_streams_and_calls_leave_no_complaint_in_the_logs(start_daemon):
    daemon = start_daemon()
    async with connected(daemon.address) as wire:
        for code in ("1", "for i in range(20000): print('x' * 40)", "import time\ntime.sleep(1)"):
            stream = await wire.open()
            await stream.execute(code)
            await stream.event("verdict")
            stream.cut()
        call = wire.sandbox.Upload()
        await call.write(
            pb.UploadRequest(
                start=pb.UploadStart(
                    session_id=stream.opened.session_id, path="f", size_bytes=10, sha256="0" * 64
                )
            )
        )
        call.cancel()
        await asyncio.sleep(0.5)
    daemon.terminate()
    assert "failed" not in daemon.logged()
    assert "level=error" not in daemon.logged()
