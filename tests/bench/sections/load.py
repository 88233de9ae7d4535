"""1, 8 and 64 sessions that never rest: latency, throughput, memory, beside as many bare streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import grpc
from sandboxd_client import AsyncSandbox

from tests.bench import baselines, processes
from tests.bench.generator import Call, Window, latency, rates, window
from tests.bench.measure import single
from tests.bench.rows import MEBIBYTES, PER_SECOND, Row
from tests.bench.setup import Daemon, Setup

PAIRS = "as many streams of bare gRPC message pairs"


def rows(setup: Setup) -> Iterator[Row]:
    """Measure each load with a daemon of its own."""
    for load in (1, 8) if setup.quick else (1, 8, 64):
        with (
            baselines.echo_server(setup.directory) as echo,
            setup.daemon(f"l{load}") as daemon,
            asyncio.Runner() as runner,
        ):
            yield from runner.run(_rows(setup, load, echo, daemon))


async def _rows(setup: Setup, load: int, echo: str, daemon: Daemon) -> list[Row]:
    ours: list[Window] = []
    bare: list[Window] = []
    seconds = 0.2 if setup.quick else 1.0
    async with contextlib.AsyncExitStack() as stack:
        calls = [await _session(stack, daemon.address) for _ in range(load)]
        pairs = [await _pair(stack, echo) for _ in range(load)]
        await window(calls, seconds)  # warm-up
        await window(pairs, seconds / 2)
        for _ in range(setup.pick(5, 2)):
            ours.append(await window(calls, seconds))
            bare.append(await window(pairs, seconds))
        memory = await asyncio.to_thread(_memory, daemon, load)
    sessions = f"{load} session{'s' if load > 1 else ''}"
    return [
        Row(f"{sessions} of 1+1: latency", PAIRS, latency(ours), latency(bare)),
        Row(f"{sessions} of 1+1: throughput", PAIRS, rates(ours), rates(bare), PER_SECOND),
        memory,
    ]


async def _session(stack: contextlib.AsyncExitStack, address: str) -> Call:
    sandbox = await stack.enter_async_context(AsyncSandbox(address=address))
    return lambda: sandbox.run_code("1+1")


async def _pair(stack: contextlib.AsyncExitStack, address: str) -> Call:
    """Open a bare stream on a connection of its own, as each sandbox has one."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options))
    stream = channel.stream_stream(baselines.METHOD, bytes, bytes)()
    stack.callback(stream.cancel)

    async def call() -> None:
        await stream.write(baselines.MESSAGE)
        await stream.read()

    return call


def _memory(daemon: Daemon, load: int) -> Row:
    what = f"{load} open session{'s' if load > 1 else ''}: memory of all processes, each page counted once"
    share = processes.proportional_bytes(processes.tree(daemon.pid))
    if share is None:
        return Row(what, unit=MEBIBYTES, note="only root may read the memory maps of a jail")
    return Row(what, ours=single(share), unit=MEBIBYTES)
