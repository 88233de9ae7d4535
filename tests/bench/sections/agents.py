"""What agents do all day: tool calls, branches of a session, files there and back; each beside the bare way to do it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.bench.rows import Row
from tests.bench.sections import branching, tool_calls, transfers
from tests.bench.setup import Daemon, Setup

POLICY = "bench"
# Room for a file of 100 MB beside the one that it replaces, and for as many calls as a round makes.
_POLICY = """apiVersion: sandboxd/v1
kind: Policy
metadata: {name: bench, revision: 1}
extends: default
limits: {disk: 512MiB, memory: {max: 1GiB}, tool_calls: 100000}
"""


def rows(setup: Setup) -> Iterator[Row]:
    """Measure the three kinds, one after the other."""
    with daemon(setup) as running:
        yield from tool_calls.rows(setup, running, POLICY)
        yield from transfers.rows(setup, running, POLICY)
    yield from branching.rows(setup)


@contextlib.contextmanager
def daemon(setup: Setup) -> Iterator[Daemon]:
    """Run a daemon that has the policy of this section."""
    directory = setup.directory / "policies"
    directory.mkdir(exist_ok=True)
    (directory / f"{POLICY}.yaml").write_text(_POLICY)
    with setup.start("a", "--policy-dir", str(directory)) as running:
        yield running
