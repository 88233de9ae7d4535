"""An engine of the benchmark's own, with the host's Python as an image, and daemons whose sessions are containers."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from sandboxd.broker.allow_list import load_image
from sandboxd.images import Source, build_image
from tests import engine
from tests.bench.rows import MissingError
from tests.bench.setup import Daemon, Setup

IMAGE = "base"
FULL_SECONDS = 60.0
LIMITS = ("--network=none", "--memory=512m", "--pids-limit=64", "--read-only", "--cap-drop=ALL")
_POLICY = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: in-{0}}}\nextends: default\nisolate: {{executor: {0}}}\n"


@dataclass(frozen=True, slots=True)
class BenchEngine:
    """A running engine."""

    own: engine.OwnEngine
    python: str
    image_id: str

    @property
    def docker(self) -> list[str]:
        """The client's command, for this engine."""
        return ["docker", "-H", f"unix://{self.own.socket}"]

    def run(self, code: str, *options: str) -> list[str]:
        """Return the `docker run` that runs code, with the limits that people give it."""
        image = [f"--entrypoint={self.python}", self.image_id]
        limits = [*LIMITS, "--security-opt=no-new-privileges"]
        return [*self.docker, "run", *options, *limits, *image, "-I", "-c", code]

    def containers(self) -> set[str]:
        """Ask the engine for all it has."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.own.socket))
            sock.sendall(b"GET /containers/json?all=1 HTTP/1.0\r\nHost: engine\r\n\r\n")
            raw = b"".join(iter(lambda: sock.recv(65536), b""))
        listed: list[dict[str, Any]] = json.loads(raw.partition(b"\r\n\r\n")[2])
        return {one["Id"] for one in listed}

    @contextlib.contextmanager
    def idle(self, runtime: str) -> Iterator[str]:
        """Yield a running container of `docker run -d`, for `docker exec`."""
        command = self.run("import time; time.sleep(3600)", "-d", f"--runtime={runtime}")
        container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        try:
            yield container
        finally:
            subprocess.run([*self.docker, "rm", "-f", container], check=False, capture_output=True)

    def daemon(self, setup: Setup, name: str, pool: int) -> contextlib.AbstractContextManager[Daemon]:
        """Run a daemon on this engine, with so many containers waiting of each kind."""
        policies = Path(self.own.home) / "policies"
        policies.mkdir(exist_ok=True)
        for runtime in ("runc", "runsc"):
            (policies / f"in-{runtime}.yaml").write_text(_POLICY.format(runtime))
        given = ["--engine-socket", str(self.own.socket), "--images-dir", str(self.own.images)]
        return setup.daemon(name, *given, "--policy-dir", str(policies), "--container-pool", str(pool))


@contextlib.contextmanager
def bench_engine() -> Iterator[BenchEngine]:
    """Start an engine and give it its image.

    Raises:
        MissingError: none can be started here.
    """
    if not engine.available():
        raise MissingError(f"an engine of its own needs root and {', '.join(engine.PROGRAMS)}")
    own = engine.start_engine()
    try:
        build_image(own.images, own.socket, IMAGE, Source(), progress=lambda _: None)
        image = load_image(own.images, IMAGE)
        yield BenchEngine(own, image.python, image.image_id)
    finally:
        own.close()


def wait_for_pool(daemon: Daemon, runtime: str) -> None:
    """Wait until as many containers of a runtime wait as there are to be."""
    until = time.monotonic() + FULL_SECONDS
    with grpc.insecure_channel(daemon.admin) as channel:
        stub = rpc.AdminServiceStub(channel)
        while not any(_is_full(pool, runtime) for pool in stub.Stats(pb.StatsRequest()).pools):
            if time.monotonic() > until:
                raise RuntimeError(f"the pool of {runtime} does not fill")
            time.sleep(0.02)


def pool_hits(daemon: Daemon, runtime: str) -> tuple[int, int]:
    """Return how many opens found a container waiting, and how many there were."""
    with grpc.insecure_channel(daemon.admin) as channel:
        pools = [pool for pool in rpc.AdminServiceStub(channel).Stats(pb.StatsRequest()).pools if f"({runtime})" in pool.environment]  # fmt: skip
    return sum(pool.hits for pool in pools), sum(pool.hits + pool.misses for pool in pools)


def _is_full(pool: Any, runtime: str) -> bool:
    return f"({runtime})" in pool.environment and pool.waiting >= pool.target
