"""A tool call there and back: from code, by way of front, log and client; and direct, by a model's JSON through the client."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import socket
from collections.abc import Callable, Iterator

from sandboxd_client import Sandbox
from sandboxd_client.tools import tool

from tests.bench import baselines
from tests.bench.measure import Timed, interleave, timed
from tests.bench.rows import MICROSECONDS, Row, below
from tests.bench.setup import Daemon, Setup

_HOST_SECONDS = 1.5e-3  # design §6
_LOOP = """import time
started = time.perf_counter()
for number in range({count}):
    ping(number)
(time.perf_counter() - started) / {count}
"""
_GATHERED = """import asyncio, time
started = time.perf_counter()
await asyncio.gather(*(tools.ping.aio(number) for number in range({count})))
(time.perf_counter() - started) / {count}
"""


@tool
def ping(number: int) -> int:
    """Give it back.

    Args:
        number: what to give back.
    """
    return number


def rows(setup: Setup, daemon: Daemon, policy: str) -> Iterator[Row]:
    """Time calls in a loop, calls in flight together, and direct ones; the code's own clock says what a call takes it."""
    count = setup.pick(200, 20)
    with (
        socket_pair() as bare,
        baselines.echo_server(setup.directory) as echo,
        baselines.grpc_pair(echo) as pair,
        Sandbox(policy, daemon.address, tools=[ping]) as sandbox,
    ):

        def direct() -> None:
            if sandbox.call_tool("ping", {"number": 7}).value != 7:
                raise RuntimeError("another value came back")

        operations = [
            from_code(sandbox, _LOOP.format(count=count)),
            from_code(sandbox, _GATHERED.format(count=min(count, 64))),
            timed(direct),
            timed(bare),
            timed(pair),
        ]
        each = [1, 1, setup.pick(50, 10), setup.pick(200, 20), setup.pick(50, 10)]
        looped, gathered, directly, by_socket, by_grpc = interleave(
            operations, rounds=setup.pick(15, 3), each=each, warm_up=1
        )
    target = below(_HOST_SECONDS, "1.5 ms")
    socket_name, grpc_name = (
        "JSON there and back on a socket pair",
        "a bare gRPC message pair on an open stream",
    )
    yield Row(
        "tool call from code, one after the other", socket_name, looped, by_socket, MICROSECONDS, target
    )
    yield Row("tool call from code, one after the other", grpc_name, looped, by_grpc, MICROSECONDS)
    yield Row("tool calls from code, in flight together, each", grpc_name, gathered, by_grpc, MICROSECONDS)
    yield Row("direct tool call", grpc_name, directly, by_grpc, MICROSECONDS, target)


def from_code(sandbox: Sandbox, code: str) -> Timed:
    """Return an operation that runs code whose value is the seconds that count."""

    def run() -> float:
        done = sandbox.run_code(code)
        if done.text is None:
            raise RuntimeError(f"no figure came: {done}")
        return float(done.text)

    return run


@contextlib.contextmanager
def socket_pair() -> Iterator[Callable[[], object]]:
    """Yield an operation: a call as JSON to another process and its value as JSON back, and nothing between."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = multiprocessing.get_context("fork").Process(target=_answer, args=(theirs, ours), daemon=True)
    process.start()
    theirs.close()

    def call() -> object:
        ours.send(json.dumps({"op": "call", "call": 1, "tool": "ping", "arguments": '{"number":7}'}).encode())
        return json.loads(json.loads(ours.recv(4096))["value"])

    try:
        yield call
    finally:
        ours.close()
        process.join()


def _answer(theirs: socket.socket, ours: socket.socket) -> None:
    ours.close()
    while data := theirs.recv(4096):
        arguments = json.loads(json.loads(data)["arguments"])
        theirs.send(
            json.dumps({"op": "answer", "call": 1, "value": json.dumps(arguments["number"])}).encode()
        )
