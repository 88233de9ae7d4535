"""A hundred live clones of one session: what a fork takes, what each holds of its own, beside `os.fork` of the same process.

`python -m tests.bench.clones` prints the figures; the executor is used without the front, so that nothing but the fork counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from sandboxd.environments import BASE
from sandboxd.events import Limits, Output
from sandboxd.executors.base import BoxSpec, Job
from sandboxd.executors.process import ProcessExecutor, ProcessSettings
from sandboxd.executors.process_box import ProcessBox

MIB = 1 << 20
COUNT = 100
HEAPS = {
    "nothing": (BASE, "x = 1", "x += 1"),
    "200 MiB in a DataFrame": (
        "data-science",
        "import numpy as np, pandas as pd\nx = pd.DataFrame(np.ones((2_621_440, 10)))",
        "float(x.iloc[::1000].sum().sum())",
    ),
    "200 MiB in one array": (BASE, f"x = bytearray(b'x' * {200 * MIB})", "x.count(b'y')"),
    "a million objects": (
        BASE,
        "x = [{'n': str(n)} for n in range(500_000)]",
        "sum(len(one['n']) for one in x)",
    ),
}
# In the session's own process: the fork that the kernel and Python do, to the child's first system call.
_BARE = """
import json, os, time
def _bare():
    read, write = os.pipe()
    began = time.perf_counter()
    pid = os.fork()
    if not pid:
        os.write(write, b"x")
        os._exit(0)
    os.read(read, 1)
    took = time.perf_counter() - began
    os.waitpid(pid, 0)
    os.close(read), os.close(write)
    return took
print(json.dumps([_bare() for _ in range(5)]))
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians; private memory is of the clones' own pages (Private_Clean + Private_Dirty of smaps_rollup), as root alone."""

    what: str
    clones: int
    os_fork_seconds: float
    fork_seconds: float
    ratio: float
    private_bytes: float | None
    private_bytes_after_use: float | None
    close_seconds: float


async def measure(executor: ProcessExecutor, what: str, count: int = COUNT) -> Figures:
    """Fork a session `count` times, one after the other, and use every tenth clone."""
    environment, heap, use = HEAPS[what]
    limits = Limits(60, 0.25, 60, 4 << 30, 64 * MIB, MIB, pids=64, files=1024, forks=count)
    box = await executor.open(BoxSpec("s-bench", environment, limits))
    try:
        await _run(box, heap)
        bare: list[float] = []
        clones: list[ProcessBox] = []
        spent: list[float] = []
        for number in range(count):
            if number % 10 == 0:  # among them, so that both meet the same load
                bare += json.loads(await _run(box, _BARE))
            began = time.perf_counter()
            clones += await box.fork(1)  # type: ignore[arg-type]  # this tier's own
            spent.append(time.perf_counter() - began)
        fresh = [_private_bytes(clone) for clone in clones]
        used = []
        for clone in clones[::10]:
            await _run(clone, use)
            used.append(_private_bytes(clone))
        began = time.perf_counter()
        for clone in clones:
            await clone.close()
        close = (time.perf_counter() - began) / count
        own = [None if None in rows else median(rows) for rows in (fresh, used)]  # type: ignore[type-var]
        theirs, ours = median(bare), median(spent)
        return Figures(what, count, theirs, ours, ours / theirs, own[0], own[1], close)
    finally:
        await box.close()


def _private_bytes(box: ProcessBox) -> int | None:
    try:
        rows = Path(f"/proc/{box._meter.guest_pid}/smaps_rollup").read_text().splitlines()
    except PermissionError:
        return None
    return sum(int(row.split()[1]) << 10 for row in rows if row.startswith("Private_"))


async def _run(box: ProcessBox, code: str) -> str:
    printed: list[str] = []
    result = await box.execute(
        Job(f"x-{time.monotonic_ns()}", code, 60),
        lambda piece: printed.append(piece.data.decode()) if isinstance(piece, Output) else None,
    )
    box.rest()
    if result.outcome != "ok":
        raise RuntimeError(f"{result.outcome}: {result.error}")
    return "".join(printed)


async def _main() -> None:
    environments = Path(os.environ.get("SANDBOXD_ENVIRONMENTS_DIR", tempfile.mkdtemp()))
    executor = ProcessExecutor(ProcessSettings(environments))
    await executor.start()
    try:
        for what, (environment, _, _) in HEAPS.items():
            if environment == BASE or (environments / environment).is_dir():
                print(json.dumps(asdict(await measure(executor, what))))
    finally:
        await executor.close()


if __name__ == "__main__":
    asyncio.run(_main())
