"""The raw one-shot call: open, run, close in one RPC."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator

import grpc
from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from tests.bench.measure import Timed
from tests.bench.setup import Daemon

REFILL_SECONDS = 0.06  # in which the pool replaces what was taken; outside the clock


def request(code: str, policy: str = "", *, fresh: bool = False) -> pb.RunRequest:
    """Return a request that was not made before; `fresh` asks for a process of its own from exec on."""
    return pb.RunRequest(
        open=pb.Open(policy=policy, fresh=fresh), execute=pb.Execute(execution_id=uuid.uuid4().hex, code=code)
    )


def check(messages: list[pb.SessionEvent]) -> None:
    """Raise unless the run ended well: a refusal is fast, and no figure."""
    events = [event for message in messages for event in (message, *message.more)]
    ends = [event.result.outcome for event in events if event.HasField("result")]
    if ends != [pb.OUTCOME_OK]:
        raise RuntimeError(f"the one-shot gave {events}")


def opens(daemon: Daemon, environment: str) -> tuple[int, int]:
    """Return how many opens of an environment found a child waiting, and how many there were."""
    with grpc.insecure_channel(daemon.admin) as channel:
        stats = rpc.AdminServiceStub(channel).Stats(pb.StatsRequest())
    pools = [pool for pool in stats.pools if pool.environment == environment and not pool.fresh]
    return sum(pool.hits for pool in pools), sum(pool.hits + pool.joined + pool.misses for pool in pools)


@contextlib.contextmanager
def one_shot(
    address: str, code: str, policy: str = "", *, pause: float = 0.0, fresh: bool = False
) -> Iterator[Timed]:
    """Yield a one-shot on an open channel; `pause` seconds before each one are not counted."""
    with grpc.insecure_channel(address) as channel:
        stub = rpc.SandboxServiceStub(channel)

        def run() -> float:
            time.sleep(pause)
            wish = request(code, policy, fresh=fresh)
            started = time.perf_counter()
            events = list(stub.Run(wish))
            seconds = time.perf_counter() - started
            check(events)
            return seconds

        yield run
