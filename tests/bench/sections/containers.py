"""Sessions in containers, runc's and gVisor's: open, snippet, close, cold start, one-shots; beside docker and its users."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sandboxd_client import Sandbox

from tests.bench.engines import BenchEngine, bench_engine, pool_hits, wait_for_pool
from tests.bench.measure import Series, Timed, interleave, timed
from tests.bench.one_shots import REFILL_SECONDS, one_shot
from tests.bench.peers.containers import container_peers
from tests.bench.peers.work import CODE, ONE_SHOT
from tests.bench.rows import PER_SECOND, MissingError, Row, at_most, below, faster
from tests.bench.sections.warm import add_up
from tests.bench.setup import Daemon, Setup

RUN, EXEC, REMOVE = "docker run --rm", "docker exec", "docker rm -f"
PROCESS = "the process tier"
GONE_SECONDS = 30.0
CALLERS = 2


def rows(setup: Setup) -> Iterator[Row]:
    """Measure both runtimes on one engine; each row's rounds alternate with its baseline's."""
    with bench_engine() as engine:
        for runtime in ("runc", "runsc"):
            yield from _sessions(setup, engine, runtime)
        yield from _one_shots(setup, engine)


@dataclass(slots=True)
class _Lives:
    """Sessions that are opened and closed in turn: one call is a whole life, whose parts are kept apart.

    A close counts until the engine has no such container any more, which is longer than the caller has to wait.
    """

    daemon: Daemon
    policy: str
    engine: BenchEngine | None = None
    before: Callable[[], None] = lambda: None
    closes: list[float] = field(default_factory=list)

    def open(self) -> float:
        self.before()
        known = self.engine.containers() if self.engine else set()
        sandbox = Sandbox(self.policy, self.daemon.address)
        started = time.perf_counter()
        sandbox.open()
        seconds = time.perf_counter() - started
        sandbox.run_code("1+1")
        started = time.perf_counter()
        sandbox.close()
        if self.engine is not None:
            # The one that was taken is the one that goes; another is being made for the pool meanwhile.
            while known and known <= self.engine.containers():
                if time.perf_counter() - started > GONE_SECONDS:
                    raise RuntimeError("a closed session's container stays")
        self.closes.append(time.perf_counter() - started)
        return seconds


def _sessions(setup: Setup, engine: BenchEngine, runtime: str) -> Iterator[Row]:
    with contextlib.ExitStack() as stack:
        pooled = stack.enter_context(engine.daemon(setup, f"cp-{runtime}", 1))
        cold = stack.enter_context(engine.daemon(setup, f"cc-{runtime}", 0))
        process = stack.enter_context(setup.daemon("cb"))
        policy = f"in-{runtime}"
        with Sandbox(policy, pooled.address) as first:
            first.run_code("1")
        lives = _Lives(pooled, policy, engine, lambda: wait_for_pool(pooled, runtime))
        beside = _Lives(process, "default", before=lambda: time.sleep(REFILL_SECONDS))
        afresh = _Lives(cold, policy)
        run = timed(lambda: subprocess.run(engine.run("1+1", "--rm", f"--runtime={runtime}"), check=True, capture_output=True))  # fmt: skip
        opened, near, none, ran = interleave(
            [lives.open, beside.open, afresh.open, run], rounds=setup.pick(12, 2), each=1, warm_up=1
        )
        hits, total = pool_hits(pooled, runtime)
        closed = Series(tuple((one,) for one in lives.closes[1:]))
        removed = _removals(setup, engine, runtime)
        yield from _snippets(setup, engine, runtime, pooled, process)
    note = f"one waited for {hits} of {total} opens"
    yield Row(f"{runtime}: open, one waiting", PROCESS, opened, near, target=below(0.030, "30 ms"), note=note)
    yield Row(f"{runtime}: open, one waiting", RUN, opened, ran, target=faster(10))
    yield Row(f"{runtime}: open, none waiting", RUN, none, ran)
    yield Row(
        f"{runtime}: close, until the engine has it no more",
        REMOVE,
        closed,
        removed,
        target=below(0.3, "0.3 s"),
    )


def _removals(setup: Setup, engine: BenchEngine, runtime: str) -> Series:
    """Time the removal of running containers by the client."""
    seconds = []
    for _ in range(setup.pick(12, 2)):
        with engine.idle(runtime) as container:
            command = [*engine.docker, "rm", "-f", container]
            seconds.append(timed(lambda command=command: subprocess.run(command, check=True, capture_output=True))())  # type: ignore[misc]  # fmt: skip
    return Series(tuple((one,) for one in seconds))


def _snippets(
    setup: Setup, engine: BenchEngine, runtime: str, daemon: Daemon, process: Daemon
) -> Iterator[Row]:
    """Time `1+1` in an open session of both tiers, and as a `docker exec`."""
    with (
        Sandbox(f"in-{runtime}", daemon.address) as ours,
        Sandbox(address=process.address) as beside,
        engine.idle(runtime) as container,
    ):
        command = [*engine.docker, "exec", container, engine.python, "-I", "-c", "1+1"]
        operations = [
            timed(add_up(ours)),
            timed(add_up(beside)),
            timed(lambda: subprocess.run(command, check=True, capture_output=True)),
        ]
        counts = [setup.pick(50, 10), setup.pick(50, 10), 1]
        mine, near, executed = interleave(operations, rounds=setup.pick(12, 3), each=counts, warm_up=2)
    yield Row(f"{runtime}: 1+1 in an open session", PROCESS, mine, near, target=at_most(2))
    yield Row(f"{runtime}: 1+1 in an open session", EXEC, mine, executed)


def _one_shots(setup: Setup, engine: BenchEngine) -> Iterator[Row]:
    """Time one-shots beside what others do for one, and count how many a second come out of two callers."""
    hello = CODE[ONE_SHOT]
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(engine.daemon(setup, "co", 4))
        shot = stack.enter_context(one_shot(daemon.address, hello, "in-runc"))
        run = timed(lambda: subprocess.run(engine.run(hello, "--rm"), check=True, stdout=subprocess.DEVNULL))
        shot()

        def waiting() -> float:
            wait_for_pool(daemon, "runc")
            return shot()

        peers = [(name, peer) for name, peer in stack.enter_context(container_peers(setup, engine))]
        here = [peer for _, peer in peers if not isinstance(peer, str)]
        mine, ran, *others = interleave([waiting, run, *here], rounds=setup.pick(6, 2), each=1, warm_up=1)
        yield Row("runc: one-shot, one waiting", RUN, mine, ran, target=faster(5))
        taken = iter(others)
        for name, peer in peers:
            if isinstance(peer, str):
                yield Row(f"runc: one-shot, beside {name}", name, note=peer)
            else:
                yield Row("runc: one-shot, one waiting", name, mine, next(taken))
        wait_for_pool(daemon, "runc")
        ours, theirs = [], []
        for _ in range(setup.pick(4, 1)):
            ours.append(_rate([stack.enter_context(one_shot(daemon.address, hello, "in-runc")) for _ in range(CALLERS)], setup))  # fmt: skip
            theirs.append(_rate([run] * CALLERS, setup))
    yield Row(
        f"runc: one-shots without a pause, {CALLERS} callers",
        f"{RUN}, {CALLERS} callers",
        Series(tuple((one,) for one in ours)),
        Series(tuple((one,) for one in theirs)),
        PER_SECOND,
    )


def _rate(operations: list[Timed], setup: Setup) -> float:
    """Have each caller repeat its operation for a while; return how many ended a second."""
    counted = itertools.count()
    started = time.perf_counter()
    failures: list[BaseException] = []

    def repeat(operation: Timed) -> None:
        try:
            while time.perf_counter() - started < setup.pick(8, 2):
                operation()
                next(counted)
        except BaseException as error:  # noqa: BLE001  told below
            failures.append(error)

    threads = [threading.Thread(target=repeat, args=(operation,)) for operation in operations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise MissingError(f"a caller failed: {failures[0]}")
    return next(counted) / (time.perf_counter() - started)
