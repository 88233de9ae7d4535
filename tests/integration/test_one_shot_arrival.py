"""`GetExecution` knows of a one-shot from its arrival on: "not found" says that nothing ran, and would have it sent again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
from typing import TYPE_CHECKING

import grpc
import pytest
import traces
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected, error_info, new_id, stdout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons import Daemon
    from wire_client import Wire

pytestmark = pytest.mark.userns

POLLS = 200  # the first one or two find it; so many are over long before the screener's time is


def code_of(execution_id: str) -> str:
    """Return a program that `pure` routes, and that no verdict was kept of."""
    return f"import logging\nprint('moved')  # {execution_id}"


@contextlib.contextmanager
def stopped_screeners(daemon: Daemon) -> Iterator[None]:
    pids = traces.find("screener", daemon.process.pid)
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def wish(execution_id: str, **limits: int) -> pb.RunRequest:
    execute = pb.Execute(execution_id=execution_id, code=code_of(execution_id))
    return pb.RunRequest(execute=execute, open=pb.Open(policy="pure", limits=pb.Limits(**limits)))


async def run(wire: Wire, request: pb.RunRequest) -> list[pb.SessionEvent]:
    return [event async for message in wire.sandbox.Run(request) for event in (message, *message.more)]


async def ask(wire: Wire, execution_id: str) -> pb.GetExecutionResponse | None:
    try:
        return await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=execution_id))
    except grpc.aio.AioRpcError as error:
        assert error_info(error).reason == "EXECUTION_NOT_FOUND"
        return None


async def ask_until(wire: Wire, execution_id: str, *, known: bool) -> pb.GetExecutionResponse | None:
    answer = None
    for _ in range(POLLS):
        answer = await ask(wire, execution_id)
        if (answer is not None) is known:
            break
    return answer


async def test_it_runs_while_it_is_screened_for_its_policy(daemon: Daemon):
    execution_id = new_id()
    async with connected(daemon.address) as wire:
        with stopped_screeners(daemon):
            running = asyncio.create_task(run(wire, wish(execution_id)))
            known = await ask_until(wire, execution_id, known=True)
            assert known is not None
            assert known.state == pb.EXECUTION_STATE_RUNNING
            assert known.session_display_id == "", "there is none yet"
            assert known.source_sha256 == hashlib.sha256(code_of(execution_id).encode()).hexdigest()
        assert stdout(await running) == b"moved\n"
        ended = await ask(wire, execution_id)
    assert ended is not None
    assert ended.state == pb.EXECUTION_STATE_FINISHED


async def test_one_that_is_left_or_refused_is_forgotten(daemon: Daemon):
    async with connected(daemon.address) as wire:
        refused = new_id()
        with pytest.raises(grpc.aio.AioRpcError):
            await run(wire, wish(refused, pids=20))
        assert await ask(wire, refused) is None
        left = new_id()
        with stopped_screeners(daemon):
            call = wire.sandbox.Run(wish(left))
            assert await ask_until(wire, left, known=True) is not None
            call.cancel()
            assert await ask_until(wire, left, known=False) is None
        assert await ask(wire, left) is None, "and does not come back"
