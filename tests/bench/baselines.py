"""What the figures are held against: a bare gRPC message pair, a disk's fdatasync, a bare fork with namespaces, bwrap."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import grpc

from sandboxd.environments import Environment
from tests.bench.setup import ROOT

METHOD = "/bench.Echo/Pair"
MESSAGE = b"x" * 120  # what an execute request of `1+1` takes
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from tests.bench.bare_zygote import main; main()"


async def _serve(address: str) -> None:
    """Serve a bidirectional stream that answers each message with itself."""

    async def echo(_: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        while isinstance(message := await context.read(), bytes):
            await context.write(message)

    handler = grpc.stream_stream_rpc_method_handler(echo, bytes, bytes)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Pair": handler}),))
    server.add_insecure_port(address)
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


@contextlib.contextmanager
def echo_server(directory: Path) -> Iterator[str]:
    """Run the echo server in a process of its own, as the daemon is; yield its address."""
    address = f"unix:{directory}/echo.sock"
    command = [sys.executable, "-m", "tests.bench.baselines", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as server:
        assert server.stdout is not None
        server.stdout.readline()
        try:
            yield address
        finally:
            server.terminate()


@contextlib.contextmanager
def grpc_pair(address: str) -> Iterator[Callable[[], object]]:
    """Yield an operation: one message there and one back on an open stream."""
    requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    with grpc.insecure_channel(address) as channel:
        answers = channel.stream_stream(METHOD, bytes, bytes)(iter(requests.get, None))

        def pair() -> object:
            requests.put(MESSAGE)
            return next(answers)

        try:
            yield pair
        finally:
            requests.put(None)


@contextlib.contextmanager
def fdatasync(directory: Path) -> Iterator[Callable[[], None]]:
    """Yield an operation that appends 300 bytes to a file of that disk and syncs them."""
    with (directory / "sync").open("ab", buffering=0) as file:

        def operation() -> None:
            file.write(b"x" * 300)
            os.fdatasync(file)

        yield operation


@contextlib.contextmanager
def bare_zygote(environment: Environment) -> Iterator[Callable[[], None]]:
    """Yield an operation: the environment's own zygote clones a child with the jail's namespaces, which ends at once."""
    command = [environment.python, "-I", "-S", "-B", "-X", "utf8", "-c", _BOOT, str(ROOT)]
    command += [environment.site_packages or "", ",".join(environment.preload)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env={})
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    try:
        _expect(stdout)

        def fork() -> None:
            stdin.write(b"f")
            _expect(stdout)

        yield fork
    finally:
        process.communicate()


def _expect(stdout: IO[bytes]) -> None:
    if stdout.read(1) != b".":
        raise RuntimeError("the bare zygote ended")


def wrapped(bwrap: str, python: str, code: str) -> list[str]:
    """Return the command that runs Python code in bubblewrap with every namespace."""
    mounts = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    return [bwrap, "--unshare-all", "--die-with-parent", *mounts, python, "-I", "-c", code]


def in_bubblewrap(bwrap: str, python: str, code: str) -> Callable[[], object]:
    """Return an operation that runs that command to its end."""
    command = wrapped(bwrap, python, code)
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
