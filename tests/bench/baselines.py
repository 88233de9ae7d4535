"""What the figures are held against: a bare gRPC message pair, a disk's fdatasync, a bare fork with namespaces, bwrap."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc

from sandboxd.jail import kernel
from sandboxd.jail.zygote import NAMESPACES

_METHOD = "/bench.Echo/Pair"
_identity = bytes


async def _serve(address: str) -> None:
    """Serve a bidirectional stream that answers each message with itself."""

    async def echo(stream: object, context: grpc.aio.ServicerContext) -> None:
        while (message := await context.read()) is not grpc.aio.EOF:
            await context.write(message)

    handler = grpc.stream_stream_rpc_method_handler(echo, _identity, _identity)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Pair": handler}),))
    server.add_insecure_port(address)
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


@contextlib.contextmanager
def grpc_pair(directory: Path) -> Iterator[Callable[[], object]]:
    """Yield an operation: one message there and one back on an open stream, between two processes."""
    address = f"unix:{directory}/echo.sock"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.baselines", address], stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    server.stdout.readline()
    requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    with grpc.insecure_channel(address) as channel:
        answers = channel.stream_stream(_METHOD, _identity, _identity)(iter(requests.get, None))

        def pair() -> object:
            requests.put(b"x" * 120)
            return next(answers)

        try:
            yield pair
        finally:
            requests.put(None)
            server.terminate()
            server.wait()
            server.stdout.close()


def fdatasync(directory: Path) -> tuple[Callable[[], object], Callable[[], None]]:
    """Return an operation that appends 300 bytes and syncs them, and its end."""
    fd = os.open(directory / "sync", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def operation() -> None:
        os.write(fd, b"x" * 300)
        os.fdatasync(fd)

    return operation, lambda: os.close(fd)


class ForkServer:
    """A bare zygote: forks a child with the jail's namespaces, which exits at once; no mounts, no limits, no guest."""

    def __init__(self) -> None:
        code = "from tests.bench.baselines import fork_loop; fork_loop()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def fork(self) -> None:
        """Fork once and wait for the child's end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"f")
        self._process.stdout.read(1)

    def close(self) -> None:
        """End the server."""
        self._process.communicate()


def fork_loop() -> None:
    """Be the bare zygote."""
    while sys.stdin.buffer.raw.read(1):  # type: ignore[attr-defined]
        pid = kernel.clone(NAMESPACES)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        os.write(1, b".")


def bubblewrap() -> Callable[[], object] | None:
    """Return an operation that runs python in bubblewrap with all namespaces; None where it is not installed."""
    if shutil.which("bwrap") is None:
        return None
    python = "/usr/bin/python3"
    command = [
        "bwrap",
        "--unshare-all",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--tmpfs",
        "/tmp",
    ]
    return lambda: subprocess.run([*command, python, "-I", "-S", "-c", "1+1"], check=True)


def clone_rate(seconds: float) -> float:
    """Return how many namespaced children a second one bare zygote forks."""
    server = ForkServer()
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        server.fork()
        count += 1
    elapsed = time.perf_counter() - started
    server.close()
    return count / elapsed


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
