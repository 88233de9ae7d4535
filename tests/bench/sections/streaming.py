"""What a program prints, all the way to its client, beside a bare pipe."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

from sandboxd_client import Sandbox

from tests.bench.measure import interleave, timed
from tests.bench.rows import Row
from tests.bench.setup import Setup

MB = 1_000_000
POLICY = """\
apiVersion: sandboxd/v1
kind: Policy
metadata: {name: loud}
extends: default
limits: {memory: {max: 1GiB}, output: 256MiB}
"""


def rows(setup: Setup) -> Iterator[Row]:
    """Time a stream of output beside what the kernel alone takes for the same bytes.

    The daemon reads a stream at 64 MB/s at most, so that no program's output takes the others' time: see `executors/guest.py`.
    """
    size = setup.pick(50, 2) * MB
    policies = setup.directory / "streaming-policies"
    policies.mkdir(exist_ok=True)
    (policies / "loud.yaml").write_text(POLICY)
    with (
        setup.daemon("streaming", "--policy-dir", str(policies)) as daemon,
        Sandbox("loud", daemon.address) as sandbox,
    ):
        printed, piped = interleave(
            [timed(_print(sandbox, size)), timed(lambda: _pipe(size))],
            rounds=setup.pick(7, 2),
            each=1,
            warm_up=1,
        )
    yield Row(f"{size // MB} MB printed and read", "the same through a bare pipe", printed, piped)


def _print(sandbox: Sandbox, size: int) -> Callable[[], object]:
    """Return the operation, after a look at what it gives."""
    sandbox.run_code(f"line = 'x' * 99\nwhole = '\\n'.join([line] * {size // 100})")

    def run() -> None:
        printed = sandbox.run_code("print(whole)").stdout
        if len(printed) != size:
            raise RuntimeError(f"{len(printed)} of {size} bytes came out")

    return run


def _pipe(size: int) -> None:
    """Pass as many bytes through a pipe, from one thread to another."""
    read, write = os.pipe()

    def fill() -> None:
        whole = memoryview((b"x" * 99 + b"\n") * (size // 100))
        while whole:
            whole = whole[os.write(write, whole) :]
        os.close(write)

    writer = threading.Thread(target=fill)
    writer.start()
    while os.read(read, 1 << 16):
        pass
    writer.join()
    os.close(read)
