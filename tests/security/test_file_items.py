"""Every item of the sample that touches files, with a client at its files meanwhile and afterwards, in both directions.

What a snippet plants is for its client to stumble over: so while the item runs, and once it has, everything that lies in /work
is listed, read, renamed, written over and removed. Nothing of the host's or of the box's own system comes out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attack import Attack, cell, own, sample
from rig import Rig, rig
from sandboxd_client import AsyncSandbox, Limits, RefusedError, SandboxError

pytestmark = [pytest.mark.userns, pytest.mark.timeout(280)]

TOUCHES_FILES = re.compile(r"open\(|link\(|truncate|mkfifo|mknod|rename|O_TMPFILE|os\.walk|chmod")
ITEMS = [
    attack
    for attack in (*sample(), *own())
    if attack.kind == "snippet"
    and not attack.is_static
    and (TOUCHES_FILES.search(attack.code) or attack.name.startswith("files/"))
]
# Of this machine, and of a box's own system: what a file of /work cannot hold unless a path led out of it.
OUTSIDE = (
    b"root:x:0:0",
    b"nameserver ",
    b"SANDBOXD_ATTACK_CANARY",
    Path("/proc/version").read_bytes().strip(),
)


@pytest.fixture(scope="module")
def running() -> Iterator[Rig]:
    with rig() as one:
        yield one


async def meddle(sandbox: AsyncSandbox, found: list[str], *, remove: bool) -> None:
    """Do to everything in /work what a client may do."""
    files = sandbox.files
    for entry in (await files.list("."))[:50]:
        name = entry.name
        for operation in ("stat", "read", "list", "write", "rename"):
            with contextlib.suppress(RefusedError):
                if operation == "stat":
                    await files.stat(name)
                elif operation == "list":
                    await files.list(name)
                elif operation == "read" and entry.size_bytes < 1 << 24:
                    data = await files.read(name, format="bytes")
                    found += [f"{name!r} holds {marker!r}" for marker in OUTSIDE if marker in data]
                elif operation == "write" and remove:
                    await files.write(name, b"of the client")
                elif operation == "rename" and remove:
                    await files.rename(name, name + "-renamed")
        if remove:
            with contextlib.suppress(RefusedError):
                await files.remove(name + "-renamed")


async def attacked(running: Rig, attack: Attack) -> list[str]:
    found: list[str] = []
    limits = Limits(disk_bytes=32 << 20, memory_bytes=256 << 20)
    async with AsyncSandbox("unscreened", running.daemon.address, limits=limits, open_timeout=20) as sandbox:
        going = asyncio.create_task(sandbox.run_code(cell(attack, attack.code), timeout=5))
        while not going.done():
            await meddle(sandbox, found, remove=False)
            await asyncio.sleep(0)
        await going
        await meddle(sandbox, found, remove=True)
    return [f"{attack.name}: {what}" for what in found]


def host_files() -> dict[str, tuple[int, int]]:
    """Return size and time of what an escape would change first."""
    names = ("/etc/passwd", "/etc/hosts", "/etc/hostname", os.__file__)
    return {name: (os.stat(name).st_size, os.stat(name).st_mtime_ns) for name in names}


async def test_a_client_gets_nothing_from_outside_by_what_an_item_left(running: Rig) -> None:
    before, found, lost = host_files(), [], []
    assert {"JAIL-116", "JAIL-119", "JAIL-007"} <= {attack.name for attack in ITEMS}
    for attack in ITEMS:
        try:
            found += await attacked(running, attack)
        except SandboxError as error:  # an item that takes its own session away
            lost.append((attack.name, error.code))
    assert found == []
    assert host_files() == before
    assert len(lost) < len(ITEMS) // 4, lost
    assert running.left() == []
