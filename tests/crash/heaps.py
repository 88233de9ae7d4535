"""What front and launcher have in use of their heaps: a changed copy of the source tells it on SIGUSR2.

The resident size says little of small leaks: the allocator keeps megabytes of free memory, now more, now less. Blocks and
bytes in use do not move at all unless something is kept.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from mutants import Edit
from traces import settle

_PROBE = """
import ctypes, gc, json, os, sys

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

def answer(name):
    gc.collect()
    told = {{"python blocks": sys.getallocatedblocks()}}
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallinfo2"):
        libc.mallinfo2.restype = Mallinfo
        told["heap bytes"] = libc.mallinfo2().uordblks
    place = os.path.join({directory!r}, name)
    with open(place + ".new", "w") as file:
        json.dump(told, file)
    os.rename(place + ".new", place)
"""
_ANSWER = '__import__("sandboxd.jail.probe", fromlist=["answer"]).answer'
EDITS = (
    Edit(
        "server/daemon.py",
        "        for number in _SIGNALS:\n",
        f'        loop.add_signal_handler(signal.SIGUSR2, {_ANSWER}, "front")\n        for number in _SIGNALS:\n',
    ),
    Edit(
        "launcher/main.py",
        "        loop.add_signal_handler(signal.SIGTERM, self._finished.set)\n",
        "        loop.add_signal_handler(signal.SIGTERM, self._finished.set)\n"
        f'        loop.add_signal_handler(signal.SIGUSR2, {_ANSWER}, "launcher")\n',
    ),
)


def add_probe(tree: Path, directory: Path) -> None:
    """Put the module that the edits call into the mutant."""
    (tree / "sandboxd" / "jail" / "probe.py").write_text(_PROBE.format(directory=str(directory)))


def ask(directory: Path, name: str, pid: int) -> dict[str, float]:
    """Ask a process that has the edits."""
    place = directory / name
    place.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR2)
    assert not settle(lambda: [] if place.exists() else ["no answer"])
    told: dict[str, float] = json.loads(place.read_text())
    return told
