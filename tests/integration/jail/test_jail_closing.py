"""The end of a box goes on without whoever asked for it: a launcher that stops cancels its tasks in the midst of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.userns

# The launcher's own parts, in a process of their own: its reaper waits for every child there is.
PROGRAM = """
import asyncio, secrets
from pathlib import Path
from sandboxd.environments import load_environment
from sandboxd.launcher.box import Box
from sandboxd.launcher.host import Host
from sandboxd.launcher.zygotes import Zygote
from sandboxd.seccomp import build_filters

async def main():
    roots = []
    host = Host(secrets.token_hex(4), None, frozenset(), roots.extend)
    zygote = Zygote(load_environment(Path("/nonexistent"), "base"), build_filters(), host.reaper)
    boxes = [Box(number, zygote, host, lambda *_: None) for number in range(4)]
    for box in boxes:
        await box.build()
    pids = [box._pid for box in boxes]
    closing = [asyncio.ensure_future(box.close()) for box in boxes[:3]]
    for _ in range(2):
        await asyncio.sleep(0)
    for task in closing:
        task.cancel()
    async with asyncio.timeout(10):
        for box in boxes:
            await box.close()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "not reaped"
    if host.is_root:
        slots = {host.take_slot() for _ in range(32768)}
        assert len(slots) == 32768, "an id range was not given back"
    zygote.close()
    await host.finished()
    host.close()
    assert not [root for root in roots if Path(root).exists()], "a cgroup is left"

asyncio.run(main())
"""


def test_a_cancelled_close_closes_all_the_same() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr
