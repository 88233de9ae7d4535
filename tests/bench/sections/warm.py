"""A snippet in an open session, under both durabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sandboxd_client import Sandbox

from tests.bench import baselines
from tests.bench.measure import interleave, timed
from tests.bench.rows import Row, at_most
from tests.bench.setup import Setup


def rows(setup: Setup) -> Iterator[Row]:
    """Time `1+1` against a message pair on the same kind of socket, and that with a sync of the same disk."""
    with (
        baselines.echo_server(setup.directory) as echo,
        baselines.grpc_pair(echo) as pair,
        baselines.fdatasync(setup.directory) as sync,
        setup.daemon("w") as write_daemon,
        setup.daemon("f", "--durability", "fsync") as fsync_daemon,
        Sandbox(address=write_daemon.address) as write,
        Sandbox(address=write_daemon.public) as service,
        Sandbox(address=fsync_daemon.address) as fsync,
    ):
        operations = [add_up(write), pair, add_up(service), add_up(fsync), lambda: (pair(), sync())]
        written, bare, served, synced, bare_synced = interleave(
            [timed(operation) for operation in operations],
            rounds=setup.pick(20, 4),
            each=setup.pick(50, 15),
            warm_up=setup.pick(50, 10),
        )
    name = "a bare gRPC message pair on an open stream"
    yield Row("warm session, 1+1, durability write", name, written, bare, target=at_most(2.5))
    yield Row("the same through a service's acceptor", name, served, bare, target=at_most(2.5))
    yield Row(
        "warm session, 1+1, durability fsync",
        "the pair + one fdatasync of that disk",
        synced,
        bare_synced,
        target=at_most(2.5),
    )


def add_up(sandbox: Sandbox) -> Callable[[], object]:
    """Return the operation, after a look at what it gives."""
    first = sandbox.run_code("1+1")
    if first.text != "2":
        raise RuntimeError(f"1+1 gave {first}")
    return lambda: sandbox.run_code("1+1")
