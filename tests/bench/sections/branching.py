"""Fork, checkpoint and rollback beside `os.fork` of the same process, and a search by fork beside one that replays."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandboxd_client import Sandbox

from tests import solver
from tests.bench.measure import Timed, interleave, timed
from tests.bench.rows import MIB, Row, at_most, faster
from tests.bench.setup import Setup

BARE = "os.fork() of a process with the same objects, whose child copies its directory on tmpfs and says so"
_FORKER = """
import os, shutil, sys
exec(sys.argv[1])
os.mkdir("work")
os.chdir("work")
exec(sys.argv[2])
sys.stdout.buffer.raw.write(b".")
while sys.stdin.buffer.raw.read(1):
    pid = os.fork()
    if not pid:
        shutil.copytree(".", "../copy")
        os.write(1, b".")
        os._exit(0)
    os.waitpid(pid, 0)
    shutil.rmtree("../copy")
"""


@dataclass(frozen=True, slots=True)
class Heap:
    """What the interpreter holds when it is cloned; `files` are written by a session alone."""

    what: str
    code: str
    files: str = ""


HEAPS = (
    Heap("nothing", "x = 1"),
    Heap("200 MiB in one array", f"x = bytearray(b'x' * (200 * {MIB}))"),
    Heap("a million objects", "x = [{'n': str(n)} for n in range(500_000)]"),
    Heap("nothing, and 16 MiB of files", "x = 1", f"open('data', 'wb').write(b'x' * (16 * {MIB}))"),
)


def rows(setup: Setup) -> Iterator[Row]:
    """Measure each heap, then the solver."""
    with setup.daemon("b", "--allow-unscreened") as daemon:

        def open_sandbox() -> Sandbox:
            return Sandbox("unscreened", daemon.address)

        for heap in HEAPS[: setup.pick(len(HEAPS), 1)]:
            with open_sandbox() as sandbox:
                yield from _heap_rows(setup, sandbox, heap)
        yield _solver_row(setup, open_sandbox)


def _heap_rows(setup: Setup, sandbox: Sandbox, heap: Heap) -> Iterator[Row]:
    for code in filter(None, (heap.code, heap.files)):
        if not sandbox.run_code(code).ok:
            raise RuntimeError(f"the heap of {heap.what} could not be made")
    with _forker(heap) as bare:
        operations = [_fork(sandbox), _checkpoint(sandbox), _rollback(sandbox), timed(bare)]
        *ours, against = interleave(operations, rounds=setup.pick(12, 3), each=setup.pick(5, 2), warm_up=2)
    for what, series in zip(("fork", "checkpoint", "rollback"), ours, strict=True):
        target = at_most(2) if what == "fork" else None
        yield Row(f"{what}, the session holds {heap.what}", BARE, series, against, target=target)


def _fork(sandbox: Sandbox) -> Timed:
    def run() -> float:
        started = time.perf_counter()
        (clone,) = sandbox.fork()
        took = time.perf_counter() - started
        clone.close()
        return took

    return run


def _checkpoint(sandbox: Sandbox) -> Timed:
    def run() -> float:
        started = time.perf_counter()
        sandbox.checkpoint("bench")
        took = time.perf_counter() - started
        sandbox.drop_checkpoint("bench")
        return took

    return run


def _rollback(sandbox: Sandbox) -> Timed:
    def run() -> float:
        sandbox.checkpoint("bench")
        started = time.perf_counter()
        sandbox.rollback("bench")
        took = time.perf_counter() - started
        sandbox.drop_checkpoint("bench")
        return took

    return run


@contextlib.contextmanager
def _forker(heap: Heap) -> Iterator[Callable[[], None]]:
    """Yield an operation: a bare process with the same objects and files forks."""
    place = tempfile.TemporaryDirectory(prefix="sbx-bench-", dir="/dev/shm")
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _FORKER, heap.code, heap.files],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        cwd=place.name,
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    def fork() -> None:
        stdin.write(b"f")
        if stdout.read(1) != b".":
            raise RuntimeError("the bare process ended")

    try:
        if stdout.read(1) != b".":
            raise RuntimeError("the bare process did not start")
        yield fork
    finally:
        process.communicate()
        place.cleanup()


def _solver_row(setup: Setup, open_sandbox: Callable[[], Sandbox]) -> Row:
    """Explore 64 branches both ways; the answers must be one."""
    size = setup.pick(200_000, 2_000)
    answers: list[solver.Answer] = []

    def by(way: Callable[[Callable[[], Sandbox], int], solver.Answer]) -> Timed:
        return timed(lambda: answers.append(way(open_sandbox, size)))

    forked, replayed = interleave(
        [by(solver.by_fork), by(solver.by_replay)], rounds=setup.pick(3, 1), each=1, warm_up=0
    )
    if len(set(answers)) != 1:
        raise RuntimeError(f"{len(set(answers))} answers to one question")
    return Row(
        f"a search of {solver.LEAVES} branches by fork",
        "the same search that replays its history in a session for each branch",
        forked,
        replayed,
        target=faster(1),
    )
