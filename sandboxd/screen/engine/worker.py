"""The screener process: reads sources from stdin, answers on stdout, holds nothing else.

Frames both ways: 4-byte big-endian length, UTF-8 JSON. Started as `python -I -S -B -c BOOTSTRAP <folder>`; the limits are
set here, before the first source is read. Parsing happens on the main thread at the default recursion limit: with more
recursion, or less stack, CPython's parser can be made to crash.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import struct
import sys
import time
from typing import Any

from .analysis import analyse
from .rules import Rules

MAX_REQUEST_BYTES = 16 * 1024 * 1024
_LENGTH = struct.Struct(">I")
_OPEN_FILES = 16


def main() -> None:
    """Serve until stdin ends. Arguments: memory limit in bytes, CPU seconds for one check."""
    memory_bytes, cpu_seconds = int(sys.argv[2]), int(sys.argv[3])
    _limit(memory_bytes)
    # A tree has no cycles worth collecting while it is checked; collecting them costs more than the checks do.
    gc.disable()
    _send({"python": "{}.{}.{}".format(*sys.version_info[:3])})
    known: dict[str, Rules] = {}
    while (request := _receive()) is not None:
        _allow_cpu(cpu_seconds)
        _send(_answer(request, known))
        gc.collect(0)


def _answer(request: dict[str, Any], known: dict[str, Rules]) -> dict[str, Any]:
    if "rules" in request:
        known[request["digest"]] = Rules(request["rules"])
    return analyse(request["code"], known[request["digest"]])


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # The daemon ends this process by closing stdin or by SIGKILL; a terminal's Ctrl-C is not for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _allow_cpu(seconds: int) -> None:
    """Grant one check its CPU time: this ends the process also when the daemon is gone and nobody else would."""
    used = int(time.process_time()) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _receive() -> dict[str, Any] | None:
    header = _read(_LENGTH.size)
    if header is None:
        return None
    (size,) = _LENGTH.unpack(header)
    body = _read(size) if size <= MAX_REQUEST_BYTES else None
    return None if body is None else json.loads(body)


def _read(size: int) -> bytes | None:
    chunks = []
    while size:
        chunk = os.read(0, size)
        if not chunk:
            return None
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _send(message: dict[str, Any]) -> None:
    body = json.dumps(message, separators=(",", ":")).encode()
    data = memoryview(_LENGTH.pack(len(body)) + body)
    while data:
        data = data[os.write(1, data) :]
