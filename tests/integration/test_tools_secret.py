"""Must hold: a secret in the closure of a client's tool is found nowhere else. Looked for from inside and from outside.

The client is a process of its own here, so that what the test itself holds is not what is found.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from daemons import SOURCES, Daemon, StartDaemon

pytestmark = [pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(300)]

# What looks is told the secret in halves, XORed: else it would find its own copy of what it looks for.
CLIENT = """
import asyncio, hashlib, json, os, sys
sys.path[:0] = json.loads(sys.argv[4])
from wire_client import connected
from tool_desk import Desk, spec
SECRET = "sk-" + hashlib.sha256(sys.argv[2].encode()).hexdigest()

def make_tool(key):
    def search(given):
        answer = hashlib.sha256((key + given["x"]).encode()).hexdigest()[:8]  # the tool uses its secret
        return [answer, given["x"]]
    return search

async def main():
    async with connected(sys.argv[1]) as wire:
        stream = await wire.open(policy="unscreened", tools=[spec("search", description="Looks things up.")])
        desk = Desk(stream, {"search": make_tool(SECRET)})
        first = await desk.run("kept = [search(x=str(n)) for n in range(20)]\\nlen(kept)")
        assert first.text == "20", first
        code = open(sys.argv[3]).read()
        found = await desk.run(code)
        print(json.dumps({"text": found.text, "error": found.error.traceback, "opened": stream.opened.display_id}), flush=True)
        sys.stdin.readline()
        await desk.run("1")

asyncio.run(main())
"""

# From inside, with what any program has: every object, every file it may read, its own memory, its environment.
INSIDE = """
import gc, os, sys
mask = bytes.fromhex({mask!r})
hidden = bytes.fromhex({hidden!r})
def holds(data, hidden=hidden):
    for start in _starts(data, hidden[0] ^ mask[0]):
        piece = data[start:start + len(hidden)]
        if len(piece) == len(hidden) and all(a ^ b == c for a, b, c in zip(piece, mask, hidden)):
            return True
    return False
def _starts(data, byte):
    at = data.find(bytes([byte]))
    while at >= 0:
        yield at
        at = data.find(bytes([byte]), at + 1)
places, looked = [], 0
seen = set()
waiting = list(gc.get_objects())
while waiting:
    value = waiting.pop()
    if id(value) in seen:
        continue
    seen.add(id(value))
    if type(value) is str:
        looked += 1
        if holds(value.encode("utf-8", "replace")): places.append("an object")
    elif type(value) in (bytes, bytearray):
        looked += 1
        if holds(bytes(value)): places.append("an object")
    else:
        waiting.extend(one for one in gc.get_referents(value) if id(one) not in seen)
for name, value in os.environb.items():
    if holds(name + value): places.append("environment")
for base in ("/work", "/tmp", "/proc/self"):
    for folder, folders, files in os.walk(base):
        folders[:] = [one for one in folders if one not in ("task", "fd", "map_files", "net", "root", "cwd")]
        for name in files:
            if name in ("mem", "pagemap", "clear_refs"):
                continue
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    if holds(file.read(1 << 20)): places.append(os.path.join(folder, name))
            except (OSError, ValueError):
                pass
decoy = b"no secret, and as long as one is"
[places, looked > 1000, holds(b"xx" + decoy + b"yy", bytes(a ^ b for a, b in zip(mask, decoy)))]
"""


@pytest.fixture(scope="module")
def house(start_module_daemon: StartDaemon) -> Daemon:
    daemon = start_module_daemon("--allow-unscreened")
    assert not daemon.error, daemon.error
    return daemon


def descendants(pid: int) -> set[int]:
    found = {pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found |= descendants(int(child))
    return found


def memory_holds(pid: int, needle: bytes) -> bool:
    """Look through all memory of a process from outside."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            if "r" not in mode or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            while start < end:
                size = min(end - start, 16 << 20)
                try:
                    memory.seek(start)
                    data = memory.read(size + len(needle)) if start + size < end else memory.read(size)
                except (OSError, ValueError, OverflowError):
                    break
                if needle in data:
                    return True
                start += size
    return False


def test_a_secret_of_a_closure_is_found_nowhere(house: Daemon, tmp_path: Path) -> None:
    salt = os.urandom(16).hex()
    secret = "sk-" + hashlib.sha256(salt.encode()).hexdigest()
    mask = os.urandom(len(secret))
    hidden = bytes(a ^ b for a, b in zip(secret.encode(), mask, strict=True))
    inside = tmp_path / "inside.py"
    inside.write_text(INSIDE.format(mask=mask.hex(), hidden=hidden.hex()))
    here = str(Path(__file__).parent)
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, house.address, salt, str(inside), json.dumps([here, *SOURCES])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        report = json.loads(client.stdout.readline())
        assert report["text"] == "[[], True, True]", report
        assert memory_holds(client.pid, secret.encode()), (
            "the control: it is where it belongs, and this look finds it"
        )
        processes = descendants(house.process.pid)
        assert len(processes) > 4, "front, launcher, zygote, screener, pid 1, guest"
        assert [pid for pid in processes if memory_holds(pid, secret.encode())] == []
        for pid in processes:
            assert secret.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        client.communicate("\n", timeout=60)
    assert client.returncode == 0
    files = [
        path for base in (house.state_dir, house.runtime_dir) for path in base.rglob("*") if path.is_file()
    ]
    files.append(house.stderr)
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    kinds = {
        json.loads(line)["kind"]
        for path in (house.state_dir / "log").glob("*")
        for line in path.read_bytes().splitlines()
    }
    assert {"tool_call", "tool_done"} <= kinds, "the log was written, and holds none of it"
