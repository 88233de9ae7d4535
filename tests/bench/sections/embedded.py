"""The first result of a program that starts its own daemon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from tests.bench.measure import interleave, timed
from tests.bench.rows import SECONDS, Row, below
from tests.bench.setup import ROOT, Setup

_PROGRAM = (
    "import time\n"
    "from sandboxd_client import Sandbox\n"
    "started = time.perf_counter()\n"
    "with Sandbox() as sandbox:\n"
    "    assert sandbox.run_code('1+1').text == '2'\n"
    "    print(time.perf_counter() - started, flush=True)\n"
)


def rows(setup: Setup) -> Iterator[Row]:
    """Time fresh processes: from `Sandbox()`, and from nothing to exit beside one that only imports gRPC."""

    def program(code: str) -> float:
        ended = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
        )
        return float(ended.stdout or 0)

    inner, imports = interleave(
        [lambda: program(_PROGRAM), timed(lambda: program("import grpc"))],
        rounds=setup.pick(10, 2),
        each=1,
        warm_up=setup.pick(1, 0),
    )
    yield Row(
        "embedded: Sandbox() to its first result, base",
        "a process that imports gRPC and ends",
        inner,
        imports,
        SECONDS,
        target=below(1.0, "1 s"),
    )
