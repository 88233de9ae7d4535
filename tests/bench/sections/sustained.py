"""One-shots without a pause: how many a second, and how long each takes, by the number of callers."""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import Callable, Iterator

import grpc
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from sandboxd.environments import BASE
from tests.bench import baselines
from tests.bench.generator import Call, Window, latency, rates, window
from tests.bench.measure import Series
from tests.bench.one_shots import check, opens, request
from tests.bench.rows import PER_SECOND, Row, at_least
from tests.bench.setup import Setup, base

CLONES = "bare clones in a row by the same zygote"


def rows(setup: Setup) -> Iterator[Row]:
    """Alternate windows of one-shots with windows of bare clones; the design's target is for two callers."""
    loads = (1, 2) if setup.quick else (1, 2, 8, 64)
    seconds = 0.2 if setup.quick else 1.5
    taken: dict[int, list[Window]] = {load: [] for load in loads}
    counted = dict.fromkeys(loads, (0, 0))
    clones = []
    with (
        setup.daemon("s") as daemon,
        baselines.bare_zygote(base()) as fork,
        asyncio.Runner() as runner,
    ):
        for _ in range(setup.pick(4, 2)):
            for load in loads:
                before = opens(daemon, BASE)
                taken[load].append(runner.run(_one_shots(daemon.address, load, seconds)))
                hits, total = map(operator.sub, opens(daemon, BASE), before)
                counted[load] = (counted[load][0] + hits, counted[load][1] + total)
            clones.append(_rate(fork, seconds))
    against = Series(tuple((one,) for one in clones))
    for load in loads:
        target = at_least(0.25) if load == 2 else None
        callers = f"{load} caller{'s' if load > 1 else ''}"
        yield Row(
            f"sustained one-shots, {callers}: throughput",
            CLONES,
            rates(taken[load]),
            against,
            PER_SECOND,
            target,
            "a child waited for {} of {} opens".format(*counted[load]),
        )
        yield Row(f"sustained one-shots, {callers}: latency", "", latency(taken[load]))


async def _one_shots(address: str, callers: int, seconds: float) -> Window:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = rpc.SandboxServiceStub(channel)

        async def call() -> None:
            check([event async for event in stub.Run(request("print('hello')"))])

        await call()  # the connection is made before the clock starts
        calls: list[Call] = [call] * callers
        return await window(calls, seconds)


def _rate(operation: Callable[[], object], seconds: float) -> float:
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        operation()
        count += 1
    return count / (time.perf_counter() - started)
