"""The sample's attacks on containers and on jails, each inside a container: none succeeds, and the session's daemon goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from container_rooms import Room, Tier

from sandboxd.errors import Code, SandboxdError

CORPUS = Path(__file__).parents[1] / "corpus" / "attacks.jsonl"
ITEMS = [
    item
    for item in map(json.loads, CORPUS.read_text().splitlines())
    if item["layer"] in {"container", "process"} and item["kind"] == "snippet"
]
MARKER = b"ESCAPED"
# Items that take something for a way out which is none here, each with what must then be so.
NO_WAY_OUT = {
    # A masked file is there and empty.
    ("JAIL-105", "runc"): """
import os
for path in "kallsyms keys timer_list config.gz interrupts kmsg".split():
    if os.access("/proc/" + path, os.R_OK):
        assert not open("/proc/" + path, "rb").read(64), path
""",
    # gVisor's own devices can be opened; no call that makes something of them is allowed.
    ("JAIL-106", "runsc"): """
import fcntl, os
for path, request in (("/dev/net/tun", 0x400454CA), ("/dev/fuse", 0x8004E500)):
    try:
        fcntl.ioctl(os.open(path, os.O_RDWR), request, bytes(40))
    except OSError:
        continue
    raise AssertionError(path)
""",
    # It looks for limits in files that gVisor does not show; test_container_inside.py asks the engine for them.
    ("CTR-014", "runsc"): "import glob\nassert glob.glob('/sys/fs/cgroup/*') == []",
}
SECONDS = 2.0

pytestmark = pytest.mark.timeout(600)


async def test_no_attack_of_the_sample_gets_out(tier: Tier, runtime: str) -> None:
    """In one session as long as it lives: what one attack leaves is there for the next."""
    room, got_out = await tier.open(), []
    for item in ITEMS:
        room, said = await _attempt(tier, room, item)
        check = NO_WAY_OUT.get((item["id"], runtime))
        if check is not None:
            assert (await room.run(check)).outcome == "ok", item["id"]
        elif MARKER in said:
            got_out.append((item["id"], said[-200:]))
    assert got_out == []
    fresh = await tier.open()
    assert await fresh.value("1 + 1") == "2"


async def _attempt(tier: Tier, room: Room, item: dict[str, Any]) -> tuple[Room, bytes]:
    try:
        result = await room.run(item["code"], seconds=SECONDS)
    except SandboxdError as error:
        assert error.code == Code.SESSION_LOST, (item["id"], error)
        room = await tier.open()
        result = await room.run(item["code"], seconds=SECONDS)
    said = b"".join((room.output(), room.output("stderr"), (result.text or "").encode()))
    if result.outcome == "infrastructure" or not room.box._link.healthy:
        await room.box.close()
        room = await tier.open()
    return room, said
