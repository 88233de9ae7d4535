"""What the jail's tests share: boxes with small limits, a way to run code in them, and a look at their processes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyseccomp
import pytest
import traces

from sandboxd.events import Display, Limits, Output, Result
from sandboxd.executors.base import BoxSpec, Job
from sandboxd.executors.process import ProcessExecutor
from sandboxd.executors.process_box import ProcessBox

MIB = 1 << 20
SLOWNESS = float(os.environ.get("SANDBOXD_TEST_SLOWNESS", "1"))  # see tests/conftest.py
LIMITS = Limits(
    wall_seconds=20,
    grace_seconds=0.25,
    cpu_seconds=20,
    memory_bytes=256 * MIB,
    disk_bytes=16 * MIB,
    output_bytes=MIB,
    pids=24,
    files=256,
)
_numbers = itertools.count(1)


@dataclass
class Ran:
    """What one execution gave back."""

    result: Result
    events: list[Output | Display]

    def output(self, stream: str) -> bytes:
        return b"".join(e.data for e in self.events if isinstance(e, Output) and e.stream == stream)

    @property
    def stdout(self) -> str:
        return self.output("stdout").decode()

    @property
    def displays(self) -> list[Display]:
        return [e for e in self.events if isinstance(e, Display)]


def execution_id() -> str:
    return f"x-{next(_numbers):06}"


async def run_fully(box: ProcessBox, code: str, deadline_seconds: float = 10.0) -> Ran:
    """Run a cell; the hard bound around it makes a hang of ours a failure and not a stuck test run."""
    events: list[Output | Display] = []
    async with asyncio.timeout(deadline_seconds + 10):
        result = await box.execute(Job(execution_id(), code, deadline_seconds), events.append)
    box.rest()  # as `pipeline` does once the result is out
    return Ran(result, events)


async def run(box: ProcessBox, code: str, deadline_seconds: float = 10.0) -> tuple[Result, str, str]:
    """Run a cell; return its result and what it printed."""
    ran = await run_fully(box, code, deadline_seconds)
    return ran.result, ran.stdout, ran.output("stderr").decode()


async def answer(box: ProcessBox, code: str) -> Any:
    """Run a cell that must succeed and that prints one JSON value as its last line."""
    result, stdout, stderr = await run(box, code)
    assert result.outcome == "ok", (result.outcome, result.evidence, result.error, stderr)
    return json.loads(stdout.strip().splitlines()[-1])


async def open_box(executor: ProcessExecutor, **limits: Any) -> ProcessBox:
    return await executor.open(BoxSpec("s-test", "base", replace(LIMITS, **limits)))


def need(box: ProcessBox, *protections: str) -> None:
    """Skip where this host does not offer these. As root they are never missing by accident: then it is a failure."""
    off = [
        f"{row.name}: {row.detail}" for row in box.protections if row.name in protections and not row.active
    ]
    if not off:
        return
    due = os.geteuid() == 0 and os.environ.get("CI")
    if due or os.environ.get("SANDBOXD_TEST_DELEGATED") == "all":
        pytest.fail(f"required here, and off: {off}")
    pytest.skip("; ".join(off))


# ---- pieces of code for boxes ------------------------------------------------------------------------------------

CALL = """
import ctypes, errno, json
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "ok"
"""
ATTEMPT = """
import errno, json, os
def attempt(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"
"""


def number(name: str) -> int:
    found = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    if found < 0:
        pytest.skip(f"{name} does not exist on this architecture, or libseccomp does not know it yet")
    return int(found)


# ---- the host ------------------------------------------------------------------------------------------------------


family, find = traces.family, traces.find


def group_of(pid: int) -> Path:
    """Return the v2 cgroup of a process."""
    tops = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
    top = next(path for path in tops if (path / "cgroup.controllers").exists())
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return top / next(line[3:] for line in lines if line.startswith("0::")).lstrip("/")


def peaks_begin_anew() -> bool:
    """Tell whether this kernel has a memory peak for each execution: v1 has, v2 from 6.12."""
    release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    return Path("/sys/fs/cgroup/memory").is_dir() or release >= (6, 12)


def cgroup_directories(instance: str) -> list[Path]:
    # os.walk and not rglob: other directories come and go meanwhile.
    walk = os.walk("/sys/fs/cgroup")
    return [Path(path) / f"sandboxd-{instance}" for path, below, _ in walk if f"sandboxd-{instance}" in below]


async def eventually(check: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until `check` holds; return whether it did in time."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while not check():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def resident_bytes() -> int:
    """Return how much memory this process, the daemon's stand-in, has resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# What a box is doing when something dies; "opening" has no box yet.
PHASES = {
    "opening": "",
    "idle": "",
    "forked": "",
    "running": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'while True: pass'])",
    "fork bomb": "import os\nwhile True:\n  try:\n    if os.fork() == 0: os.setsid()\n  except OSError: pass",
}
