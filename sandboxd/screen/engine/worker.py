"""The screener process: one socket, on which it is asked and answers, and nothing else.

Frames both ways: two big-endian 32-bit sizes, then a head (JSON, ASCII) and a tail of bytes: the source in a question, the
restricted program in an answer. Started by `boot.py`; all that a check may import is imported before the process locks
itself in. Parsing happens on the main thread at the default recursion limit: with more recursion, or less stack, CPython's
parser can be made to crash.
"""

from __future__ import annotations

import ast
import base64
import gc
import json
import os
import resource
import struct
import sys
import time
import warnings
from typing import Any

from sandboxd.screen.confined import confine

from .analysis import examine
from .findings import Findings
from .restricting import Compiler, load_compiler
from .rules import Rules
from .tools import Toolbox

MAX_QUESTION_BYTES = 16 * 1024 * 1024
_SIZES = struct.Struct(">II")
_SOCKET = 0
_READ_BYTES = 65536
_REHEARSAL = "from math import pi\nclass C:\n    def f(self):\n        return [f'{pi:.2f}' for x in self]\n"
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def serve(settings: str) -> None:
    """Answer until the socket ends.

    Args:
        settings: JSON: `memory_bytes`, `cpu_seconds` for one check and `filter` (BPF, base64).
    """
    form = json.loads(settings)
    compiler = load_compiler()
    _rehearse(compiler)
    # A tree has no cycles worth collecting while it is checked; collecting them costs more than the checks do.
    gc.disable()
    warnings.simplefilter("ignore")
    gc.freeze()
    try:
        missing = confine(form["memory_bytes"], base64.b64decode(form["filter"]))
    except OSError as error:
        _send({"failed": str(error)})
        os._exit(1)
    _send({"python": "{}.{}.{}".format(*sys.version_info[:3]), "missing": missing})
    _loop(compiler, int(form["cpu_seconds"]))
    os._exit(0)


def _rehearse(compiler: Compiler) -> None:
    """Go once through what imports on first use: afterwards nothing can be opened."""
    compiler.compile(_REHEARSAL, ast.parse(_REHEARSAL), Findings(_REHEARSAL))


def _loop(compiler: Compiler, cpu_seconds: int) -> None:
    known: dict[str, Rules] = {}
    granted = 0
    while (frame := _receive()) is not None:
        head, source = frame
        used = int(time.process_time()) + 1
        if used != granted:
            granted = used
            _allow_cpu(used + cpu_seconds)
        if "rules" in head:
            known[head["digest"]] = Rules(head["rules"])
        toolbox = Toolbox(head["tools"], head["shadowed"]) if "tools" in head else None
        rules = known[head["digest"]]
        answer = examine(source, rules, compiler, compiled=head["compiled"], toolbox=toolbox)
        answer["token"] = head["token"]
        _send(answer, answer.pop("program", b""))
        gc.collect(0)


def _allow_cpu(seconds: int) -> None:
    """Grant one check its CPU time: this ends the process also when the daemon is gone and nobody else would."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _receive() -> tuple[dict[str, Any], str] | None:
    data = os.read(_SOCKET, _READ_BYTES)
    wanted = _SIZES.size
    while True:
        if len(data) >= _SIZES.size:
            head_size, tail_size = _SIZES.unpack_from(data)
            wanted = _SIZES.size + head_size + tail_size
            if len(data) == wanted:
                break
        if wanted > MAX_QUESTION_BYTES:
            return None
        more = os.read(_SOCKET, max(wanted - len(data), _SIZES.size))
        if not more:
            return None
        data += more
    end = _SIZES.size + head_size
    return json.loads(data[_SIZES.size : end]), str(data[end:], "utf-8")


def _send(message: dict[str, Any], tail: bytes = b"") -> None:
    head = _encode(message).encode()
    data = memoryview(b"".join((_SIZES.pack(len(head), len(tail)), head, tail)))
    while data:
        data = data[os.write(_SOCKET, data) :]
