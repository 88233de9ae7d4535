"""A chat completions server on the loopback that replays recorded answers and fails on demand.

A recording is one line of JSON: `name`, `status`, `headers`, and `chunks`, the body piece by piece as it came. A request is answered
with the next of the `Reply` values that the test queued; each may change its recording: wait before pieces, cut the
connection, answer with an error first.
"""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("model_replies") / "recorded.jsonl"


def recording(name: str) -> Reply:
    """Return a recorded answer."""
    for line in RECORDED.read_text("utf-8").splitlines():
        told = json.loads(line)
        if told["name"] == name:
            return Reply(told["status"], told["headers"], [chunk.encode() for chunk in told["chunks"]])
    raise LookupError(name)


@dataclass
class Reply:
    """One answer. `cut_after` ends the connection after so many chunks, without the end of the body."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    chunk_seconds: float = 0.0
    head_seconds: float = 0.0
    cut_after: int | None = None


@dataclass
class Request:
    """What a client asked for."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at_seconds: float


@dataclass
class Replay:
    """A running server: its URL, what it was asked, and whether a client left before the end."""

    base_url: str
    replies: list[Reply]
    requests: list[Request] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    chunks_sent: int = 0


@contextmanager
def replaying(*replies: Reply) -> Iterator[Replay]:
    """Serve the replies in order on a free port; a request beyond them is answered with 418."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    replay = Replay(f"http://127.0.0.1:{server.server_port}/v1", list(replies))
    server.replay = replay  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield replay
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        replay: Replay = self.server.replay  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        replay.requests.append(Request(self.path, dict(self.headers), body, time.monotonic()))
        reply = replay.replies.pop(0) if replay.replies else Reply(418)
        try:
            self._answer(reply, replay)
        except OSError:
            replay.left.set()
        self.close_connection = True

    def _answer(self, reply: Reply, replay: Replay) -> None:
        time.sleep(reply.head_seconds)
        self.send_response(reply.status)
        for name, value in {"Content-Type": "text/event-stream", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for position, chunk in enumerate(reply.chunks):
            if position == reply.cut_after:
                return
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.flush()
            replay.chunks_sent += 1
            time.sleep(reply.chunk_seconds)
        if reply.cut_after is None:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the test's output clean."""
