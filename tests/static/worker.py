"""The harness's worker: a line of JSON in, a program run in a fork, a line out. Started by `harness.py`.

The static layers are imported once, before the forks, as the zygote and the screener have them.
"""

# whatever a program raises is its answer
from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from typing import Any

_OPTIONS = json.loads(sys.argv[1])
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), _OPTIONS["root"]]
sys.path.append(_OPTIONS["site"])

import ways  # noqa: E402  # found beside this file

_MEMORY_BYTES = 2 * 2**30
_FILE_BYTES = 1 << 24
_SHOWN_BYTES = 1 << 18
_encode = json.JSONEncoder(default=str).encode  # before a control run that changes json


def main() -> None:
    """Serve until stdin ends."""
    ways.prepare(_OPTIONS["rules"])
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(_in_fork(request["source"], request["way"])) + "\n")


def _in_fork(source: str, way: str) -> dict[str, Any]:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ours)
            _child(source, way, theirs)
        finally:
            os._exit(97)
    os.close(theirs)
    return _answer(pid, ours)


def _child(source: str, way: str, answer: int) -> None:
    seconds = int(_OPTIONS["seconds"])
    for limit, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
    ):
        resource.setrlimit(limit, (value, value))
    null = os.open(os.devnull, os.O_RDWR)
    output = os.memfd_create("stdout")
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(null, 2)
    try:
        report = ways.run(source, way)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  # the failure of the harness is an answer too
        report = {"status": "crash", "message": traceback.format_exc()[-1500:]}
    report["stdout"] = os.pread(output, _SHOWN_BYTES, 0).decode("utf-8", "replace")
    data = memoryview(_encode(report).encode("utf-8", "replace"))
    while data:
        data = data[os.write(answer, data) :]
    os._exit(0)


def _answer(pid: int, descriptor: int) -> dict[str, Any]:
    """Collect a child's report, or what became of it instead."""
    chunks: list[bytes] = []
    until = time.monotonic() + _OPTIONS["seconds"] * 2
    late = False
    while not late:
        late = not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]
        chunk = b"" if late else os.read(descriptor, 1 << 16)
        if not chunk:
            break
        chunks.append(chunk)
    os.close(descriptor)
    if late:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if late or code in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"status": "hang"}
    if code or not chunks:
        return {"status": "crash", "message": f"exit {code}"}
    answer: dict[str, Any] = json.loads(b"".join(chunks))
    return answer


if __name__ == "__main__":
    main()
