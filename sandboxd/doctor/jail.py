"""Build one whole jail with the real launcher, ask it what is active, and take it down: the last word on this host."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from sandboxd.doctor.facts import JailTrial
from sandboxd.environments import BASE
from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Limits
from sandboxd.executors.base import BoxSpec
from sandboxd.executors.process import ProcessExecutor, ProcessSettings

_MIB = 1 << 20
_LIMITS = Limits(
    wall_seconds=5.0,
    grace_seconds=0.25,
    cpu_seconds=5.0,
    memory_bytes=256 * _MIB,
    disk_bytes=16 * _MIB,
    output_bytes=_MIB,
    pids=16,
)


def try_jail(environments_dir: Path) -> JailTrial:
    """Build a jail of the base environment; never raises. Nothing of it is left, whatever came of it."""
    try:
        return asyncio.run(_build(environments_dir))
    except SandboxdError as error:
        return JailTrial(code=error.code.value, message=error.message, remedy=error.remedy)
    except (OSError, TimeoutError) as error:
        text = f"{type(error).__name__}: {error}"
        return JailTrial(code=Code.JAIL_FAILED.value, message=text, remedy="See the checks below.")


async def _build(environments_dir: Path) -> JailTrial:
    executor = ProcessExecutor(ProcessSettings(environments_dir, pool_size=0))
    start = time.perf_counter()
    try:
        await executor.start()
        # `start` has proven a fork of the zygote; a fresh one is the most that this host gives.
        box = await executor.open(BoxSpec("doctor", BASE, _LIMITS, fresh=True))
        seconds = time.perf_counter() - start
        await box.close()
    finally:
        await executor.close()
    return JailTrial(protections=box.protections, seconds=round(seconds, 3))
