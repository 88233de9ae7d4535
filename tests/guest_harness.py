"""Drives `sandboxd.guest.serve` for real: an exec'd interpreter, a socketpair and two pipes, as the daemon does."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("numpy==2.0.0", "pandas==2.2.0")

# As the zygote does it: isolated, no site, the environment's packages put on the path by hand, then a fork's child serves.
_BOOT = """
import json, os, socket, sys
fd, root, site, raw = int(sys.argv[1]), sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
sys.path.insert(0, root)
if site:
    sys.path.append(site)
import sandboxd.guest
sandboxd.guest.warm(raw)
sandboxd.guest.serve(socket.socket(fileno=fd), raw)
"""


@dataclass
class Cell:
    """What one cell gave back."""

    result: dict[str, Any]
    displays: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.result["ok"])

    @property
    def text(self) -> str | None:
        return self.result["text"]

    @property
    def error(self) -> dict[str, Any]:
        assert self.result["error"] is not None, self.result
        return self.result["error"]

    @property
    def traceback(self) -> str:
        return self.error["traceback"]

    def image(self) -> bytes:
        (image,) = [shown for shown in self.displays if "image/png" in shown["data"]]
        assert "image/png" in image["base64"]
        return base64.b64decode(image["data"]["image/png"], validate=True)


class Guest:
    """A guest process and the daemon's ends of its channels."""

    def __init__(
        self,
        python: str = sys.executable,
        *,
        preload: tuple[str, ...] = (),
        site: bool = True,
        **settings: Any,
    ) -> None:
        self.workdir = tempfile.mkdtemp(prefix="guest-")
        raw = {
            "preload": list(preload),
            "packages": list(PACKAGES),
            "repr_limit": 2000,
            "display_item_bytes": 1_000_000,
            "display_total_bytes": 3_000_000,
            "workdir": self.workdir,
            **settings,
        }
        # -I -S keeps site-packages off the path; the boot adds it, as the zygote does.
        packages = site_packages(python) if site else ""
        self.control, theirs = socket.socketpair()
        self.control.settimeout(60)
        self._process = subprocess.Popen(
            [
                python,
                "-I",
                "-S",
                "-B",
                "-X",
                "utf8",
                "-c",
                _BOOT,
                str(theirs.fileno()),
                str(ROOT),
                packages,
                json.dumps(raw),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self.pid = self._process.pid
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self._readers = [
            threading.Thread(target=self._drain, args=(name,), daemon=True) for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()
        self._count = 0
        assert self.receive() == {"op": "ready"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, code: str) -> Cell:
        """Run a cell to its end."""
        self.begin(code)
        return self.finish()

    def value(self, code: str) -> str | None:
        """Run a cell that must succeed and give its text."""
        cell = self.run(code)
        assert cell.ok, cell.result
        return cell.text

    def begin(self, code: str) -> None:
        """Send a cell without waiting."""
        self._count += 1
        self.send({"op": "run", "id": f"x{self._count}", "code": code, "filename": f"<cell {self._count}>"})

    def finish(self) -> Cell:
        """Collect a cell's frames up to its result."""
        displays = []
        while True:
            frame = self.receive()
            assert frame["id"] == f"x{self._count}"
            if frame["op"] == "result":
                return Cell(frame, displays)
            displays.append(frame)

    def send(self, message: dict[str, Any]) -> None:
        payload = json.dumps(message).encode()
        self.control.sendall(struct.pack(">I", len(payload)) + payload)

    def receive(self) -> dict[str, Any]:
        size = struct.unpack(">I", self._exactly(4))[0]
        assert size <= 16 * 1024 * 1024
        return json.loads(self._exactly(size))

    def interrupt(self) -> None:
        os.kill(self.pid, signal.SIGINT)

    def storm(self, seconds: float, interval_seconds: float = 0.01) -> threading.Thread:
        """Send SIGINT again and again, as the launcher does past a deadline."""

        def send() -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                with contextlib.suppress(ProcessLookupError):
                    self.interrupt()
                time.sleep(interval_seconds)

        thread = threading.Thread(target=send)
        thread.start()
        return thread

    def output(self, name: str = "stdout") -> str:
        """Take what arrived on a stream; it is complete for cells whose result came, as far as the pipe's bytes go."""
        self._settle(name)
        text = self._output[name].decode()
        self._output[name].clear()
        return text

    def wait(self) -> int:
        """Wait for the guest's end and give its status as subprocess does."""
        return self._process.wait(timeout=30)

    def close(self) -> None:
        self.control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(timeout=5)
        shutil.rmtree(self.workdir, ignore_errors=True)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _drain(self, name: str) -> None:
        pipe = getattr(self._process, name)
        while chunk := os.read(pipe.fileno(), 65536):
            self._output[name] += chunk

    def _settle(self, name: str) -> None:
        """Wait until the reader took all that is in the pipe: FIONREAD says when."""
        pipe = getattr(self._process, name)
        for _ in range(1000):
            before = len(self._output[name])
            waiting = int.from_bytes(fcntl.ioctl(pipe.fileno(), termios.FIONREAD, b"\0" * 4), sys.byteorder)
            time.sleep(0.002)
            if waiting == 0 and len(self._output[name]) == before:
                return

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self.control.recv(size - len(data))
            if not chunk:
                raise EOFError("the guest closed the control socket")
            data += chunk
        return bytes(data)


def site_packages(python: str) -> str:
    """Where an interpreter's packages are."""
    return subprocess.run(
        [python, "-c", 'import sysconfig; print(sysconfig.get_paths()["purelib"])'],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.strip()
