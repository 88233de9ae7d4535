"""What an idle session holds: private pages of its two processes, and what the kernel keeps for them."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator

import psutil
from sandboxd_client import Sandbox

from sandboxd.environments import Environment
from tests.bench import processes
from tests.bench.measure import Series, single
from tests.bench.rows import MEBIBYTES, MIB, MissingError, Row, Target, below
from tests.bench.setup import NO_POOL, PANDAS, Daemon, Setup, base

WORK = {
    "base": "import json\ntext = json.dumps(list(range(1000)))\nlen(text)",
    "pandas": "import numpy as np, pandas as pd\nframe = pd.DataFrame(np.random.rand(1000, 5))\nframe.describe()",
}
WORK_NAMES = {"base": "some JSON", "pandas": "describe()"}
_LEAVE_SECONDS = 10
_NOT_ROOT = "only root may read the memory maps of a jail"


def rows(setup: Setup) -> Iterator[Row]:
    """Measure sessions of both environments."""
    yield from _rows(setup, "base", "", base(), ())
    try:
        environment = setup.pandas()
    except MissingError as reason:
        yield Row("idle session with pandas: private memory", note=str(reason))
        return
    targets = (below(4 * MIB, "4 MiB"), below(12 * MIB, "12 MiB"))
    yield from _rows(setup, "pandas", PANDAS, environment, targets)


def _rows(
    setup: Setup, name: str, policy: str, environment: Environment, targets: tuple[Target, ...]
) -> Iterator[Row]:
    session = f"idle session, {name}"
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(setup.daemon(f"m-{name}", *NO_POOL))
        with Sandbox(
            address=daemon.address, policy=policy
        ) as first:  # the zygote is warm before anything counts
            first.run_code("1")
        alone = _of_process(environment, name)
        count = setup.pick(16, 2)
        before = processes.available_bytes()
        sandboxes = [
            stack.enter_context(Sandbox(address=daemon.address, policy=policy)) for _ in range(count)
        ]
        if not setup.quick:  # what two sessions take is less than what others take and give meanwhile
            lost = (before - processes.available_bytes()) / count
            what = f"{session}, fresh: what the machine gave, kernel included"
            yield Row(what, ours=single(max(lost, 0.0)), unit=MEBIBYTES)
        yield from _books(daemon, count, f"{session}, fresh", alone, targets[:1])
        for sandbox in sandboxes:
            if not sandbox.run_code(WORK[name]).ok:
                raise RuntimeError(f"the session could not do {WORK[name]!r}")
        yield from _books(daemon, count, f"{session}, after {WORK_NAMES[name]}", alone, targets[1:])


def _books(
    daemon: Daemon, count: int, what: str, alone: Series | None, targets: tuple[Target, ...]
) -> Iterator[Row]:
    until = time.monotonic() + _LEAVE_SECONDS
    while len(boxes := _boxes(daemon)) != count:  # one that was closed before may still be on its way out
        if time.monotonic() > until:
            raise RuntimeError(f"{count} sessions are open, and {len(boxes)} boxes were found")
        time.sleep(0.05)
    private = _each(boxes, processes.private_bytes)
    baseline = "a process of its own that imported the same" if alone is not None else ""
    target = targets[0] if targets else None
    guest, pid1 = (
        _each(part, processes.private_bytes) for part in ([b[1:] for b in boxes], [b[:1] for b in boxes])
    )
    note = (
        _NOT_ROOT
        if guest is None or pid1 is None
        else f"{guest.p50 / MIB:.1f} of it the guest, {pid1.p50 / MIB:.1f} pid 1"
    )
    yield Row(f"{what}: private memory", baseline, private, alone, MEBIBYTES, target, note)
    kernel = Series((tuple(float(found) for box in boxes if (found := processes.kernel_bytes(box[0]))),))
    if kernel.count:
        yield Row(f"{what}: kernel memory beside it", "", kernel, unit=MEBIBYTES)
    else:
        yield Row(f"{what}: kernel memory beside it", note="no memory cgroup counts it here")
    tables = _each(boxes, processes.page_table_bytes)
    yield Row(f"{what}: page tables of its two processes", ours=tables, unit=MEBIBYTES)


def _boxes(daemon: Daemon) -> list[list[int]]:
    """Return pid 1 and guest of each open box: the launcher's children that have a child of their own."""
    launcher = next(
        child
        for child in psutil.Process(daemon.pid).children()
        if "sandboxd.launcher" in " ".join(child.cmdline())
    )
    found = [[child.pid, *(below.pid for below in child.children())] for child in launcher.children()]
    return [box for box in found if len(box) > 1]


def _each(boxes: list[list[int]], read: Callable[[int], int | None]) -> Series | None:
    sums = []
    for box in boxes:
        parts = [part for pid in box if (part := read(pid)) is not None]
        if len(parts) != len(box):
            return None
        sums.append(float(sum(parts)))
    return Series((tuple(sums),))


def _of_process(environment: Environment, name: str) -> Series | None:
    """Measure a plain process that did the same imports."""
    code = "\n".join([
        "import sys",
        f"sys.path.append({environment.site_packages or ''!r})",
        "import json" if name == "base" else f"import {name}",
        "print('.', flush=True)",
        "sys.stdin.read()",
    ])  # fmt: skip
    command = [environment.python, "-I", "-S", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        held = processes.private_bytes(process.pid)
        process.kill()
    return single(float(held)) if held else None
