"""`python -m tests.bench [--quick] [--json FILE]`: the rows of the design's speed table for the process tier."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
from sandboxd_client import Sandbox
from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from tests.bench import baselines
from tests.bench.measure import Row, Sample, machine, table, time_many, write_json


@contextlib.contextmanager
def daemon(directory: Path, *options: str) -> Iterator[str]:
    """Start a real daemon on its own sockets and state; yield its address."""
    directory.mkdir()
    address = f"unix:{directory}/run/sandboxd.sock"
    command = [sys.executable, "-m", "sandboxd", "serve", "--embedded", "--runtime-dir", f"{directory}/run"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
        yield address
    finally:
        process.terminate()
        process.wait()


def warm(address: str, count: int) -> Sample:
    """Time `1+1` in an open session."""
    with Sandbox(address=address) as sandbox:
        return time_many(lambda: sandbox.run_code("1+1"), count, warm_up=20)


def one_shot(stub: rpc.SandboxServiceStub) -> None:
    """Open, run `1+1`, close, in one call."""
    execute = pb.Execute(execution_id=uuid.uuid4().hex, code="1+1")
    messages = list(stub.Run(pb.RunRequest(open=pb.Open(), execute=execute)))
    events = [event for message in messages for event in (message, *message.more)]
    assert any(event.result.outcome == pb.OUTCOME_OK for event in events)


def one_shots(address: str, count: int, pause_seconds: float) -> Sample:
    """Time one-shots; the pause lets the pool refill where there is one."""
    with grpc.insecure_channel(address) as channel:
        stub = rpc.SandboxServiceStub(channel)
        durations = []
        for _ in range(count + 2):
            time.sleep(pause_seconds)
            durations.append(time_many(lambda: one_shot(stub), 1, warm_up=0).p50)
    ordered = sorted(durations[2:])
    return Sample(ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], len(ordered))


def sustained(address: str, seconds: float) -> float:
    """Return one-shots a second with two callers."""

    def caller() -> int:
        done, started = 0, time.perf_counter()
        with grpc.insecure_channel(address, [("bench.id", uuid.uuid4().hex)]) as channel:
            stub = rpc.SandboxServiceStub(channel)
            while time.perf_counter() - started < seconds:
                one_shot(stub)
                done += 1
        return done

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda _: caller(), range(2))) / seconds


def first_result(count: int) -> Sample:
    """Time a fresh process from import to the first result of an embedded daemon."""
    code = "from sandboxd_client import Sandbox\nwith Sandbox() as s: s.run_code('1+1')"
    return time_many(lambda: subprocess.run([sys.executable, "-c", code], check=True), count, warm_up=1)


def warm_rows(directory: Path, scale: int) -> list[Row]:
    with baselines.grpc_pair(directory) as pair, daemon(directory / "w") as address:
        against = time_many(pair, 300 * scale, warm_up=50)
        rows = [
            Row(
                "warm 1+1, durability write",
                "a bare gRPC message pair",
                warm(address, 200 * scale),
                against,
                2.5,
            )
        ]
        sync, end = baselines.fdatasync(directory)

        def pair_and_sync() -> None:
            pair()
            sync()

        synced = time_many(pair_and_sync, 100 * scale)
        end()
    with daemon(directory / "f", "--durability", "fsync") as address:
        name = "the pair + one fdatasync of that disk"
        rows.append(Row("warm 1+1, durability fsync", name, warm(address, 100 * scale), synced, 2.5))
    return rows


def one_shot_rows(directory: Path, scale: int) -> list[Row]:
    server = baselines.ForkServer()
    bare = time_many(server.fork, 100 * scale)
    server.close()
    fork = "a bare fork of a zygote with the same namespaces"
    with daemon(directory / "p") as address:
        pooled = one_shots(address, 20 * scale, 0.05)
        rate = sustained(address, 1.0 * scale)
    with daemon(directory / "n", "--pool-size", "0") as address:
        cold = one_shots(address, 20 * scale, 0.0)
    rows = [
        Row("one-shot, a waiting child found", fork, pooled, bare, 1.5),
        Row("one-shot, none waiting", fork, cold, bare, 6.0),
    ]
    clones = baselines.clone_rate(1.0 * scale)
    period, bare_period = Sample(1 / rate, 1 / rate, 1), Sample(1 / clones, 1 / clones, 1)
    rows.append(
        Row("sustained one-shots: seconds each, 2 callers", "bare clones in a row", period, bare_period, 4.0)
    )
    if (operation := baselines.bubblewrap()) is not None:
        rows.append(
            Row(
                "one-shot pooled, beside bubblewrap",
                "bwrap + python -I -S",
                pooled,
                time_many(operation, 10),
                0.2,
            )
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, for CI: the figures are noise")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    options = parser.parse_args()
    scale = 1 if options.quick else 5
    with tempfile.TemporaryDirectory(prefix="sbx-bench-") as name:
        rows = warm_rows(Path(name), scale) + one_shot_rows(Path(name), scale)
    second = Sample(1.0, 1.0, 1)
    rows.append(Row("embedded: first result, base", "one second", first_result(3 * scale), second, 1.0))
    print(" ".join(f"{key}={value}" for key, value in machine().items()))
    print(table(rows))
    if baselines.bubblewrap() is None:
        print("bubblewrap is not installed: its row is left out (apt-get install bubblewrap).")
    if options.json is not None:
        write_json(options.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
