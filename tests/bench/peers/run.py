"""Measures all peers: for each work their rounds alternate, so that all meet the same machine."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any

from sandboxd.environments import Environment
from tests.bench import baselines
from tests.bench.measure import Series, Timed, single
from tests.bench.peers import install, kinds
from tests.bench.peers.docker import docker
from tests.bench.peers.table import PeerRow
from tests.bench.peers.work import LOOP, ONE_SHOT, WARM, WORKLOADS
from tests.bench.rows import MissingError
from tests.bench.setup import Setup, base

ROUND_SECONDS = 0.25
_MOST = 40
_LOST = 5


def peer_rows(setup: Setup) -> list[PeerRow]:
    """Install what is missing, measure, and return the rows; ours is the first."""
    versions = install.install()
    with contextlib.ExitStack() as stack:
        plain, *peers = _enter(setup, stack, versions)
        cells: dict[str, dict[str, Series | str]] = {peer.name: {} for peer in (plain, *peers)}
        for work in WORKLOADS:
            for name, cell in _alternate([plain, *peers], work, setup.pick(8, 2)).items():
                cells[name][work] = cell
    for peer in peers:
        cells[peer.name][LOOP] = _times(cells[peer.name], cells[plain.name][LOOP])
    return [PeerRow(peer.name, peer.isolation, cells[peer.name]) for peer in peers]


def _enter(setup: Setup, stack: contextlib.ExitStack, versions: dict[str, str]) -> Iterator[kinds.Peer]:
    """Start all peers: first plain CPython, the measure of the loop, then ours, then the others."""
    own = base()
    environment: Environment | str
    try:
        environment = setup.pandas()
    except MissingError as reason:
        environment = str(reason)
    site = environment.site_packages if isinstance(environment, Environment) else None
    try:
        bwrap, no_bwrap = setup.bubblewrap(), ""
    except MissingError:
        bwrap, no_bwrap = "", versions[install.BUBBLEWRAP].removeprefix("!")
    plain = setup.python()
    paths = [own.base_prefix, str(setup.directory / "venv")]
    options: dict[str, Any] = {"site": site, "python": plain, "paths": paths, "bwrap": bwrap}

    def library(package: str, title: str, key: str, isolation: str) -> kinds.Peer:
        version = versions[package]
        if version.startswith("!"):
            return kinds.absent(title, isolation, version[1:])
        name = f"{title} {version}"
        return stack.enter_context(kinds.library(name, isolation, install.python(), key, options))

    yield stack.enter_context(kinds.library("CPython", "", own.python, "cpython", options))
    yield stack.enter_context(kinds.ours(setup, environment))
    yield kinds.command("python -I, a process each", "none", [plain, "-I", "-c"], site)
    name, isolation = f"bubblewrap {versions[install.BUBBLEWRAP]}".split(" !")[0], "namespaces (all); host files readable as started here; no syscall filter, no limits"  # fmt: skip
    start = baselines.wrapped(bwrap, plain, "")[:-1]
    yield (
        kinds.absent(name, isolation, no_bwrap)
        if no_bwrap
        else kinds.command(f"{name} + python -I", isolation, start, site)
    )
    yield docker(setup)
    sandbox = "namespaces (by bubblewrap), seccomp deny-list of 31 calls, no limits by default"
    if no_bwrap:
        yield kinds.absent("llm-sandbox, bubblewrap backend", sandbox, no_bwrap)
    else:
        yield library("llm-sandbox", "llm-sandbox, bubblewrap backend", "llm-sandbox", sandbox)
    yield library("smolagents", "smolagents LocalPythonExecutor", "smolagents", "language filter, in the caller's process (and pandas imported there already)")  # fmt: skip
    yield library("pydantic-monty", "Monty", "monty", "another interpreter (a part of Python) in a worker process; no namespaces, no syscall filter")  # fmt: skip
    yield library("RestrictedPython", "RestrictedPython", "restricted", "language filter, in the caller's process")  # fmt: skip


def _alternate(peers: list[kinds.Peer], work: str, rounds: int) -> dict[str, Series | str]:
    cells: dict[str, Series | str] = {}
    running: dict[str, tuple[Timed, int]] = {}
    for peer in peers:
        operation = peer.operations[work]
        if isinstance(operation, str):
            cells[peer.name] = operation
            continue
        try:
            operation()
            seconds = operation()
        except (MissingError, RuntimeError, subprocess.SubprocessError, OSError) as error:
            cells[peer.name] = f"fails: {str(error)[:200]}"
        else:
            running[peer.name] = (operation, max(1, min(_MOST, int(ROUND_SECONDS / max(seconds, 1e-6)))))
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, (operation, count) in running.items():
            taken[name].append(tuple(operation() for _ in range(count)))
    return cells | {name: Series(tuple(one)) for name, one in taken.items()}


def _times(cells: dict[str, Series | str], plain: Series | str) -> Series | str:
    """Return how many times as long as in CPython the loop takes, the way to the sandbox and back left out.

    Of the fastest runs: a difference of two medians has the noise of both.
    """
    loop = cells[LOOP]
    around = cells[WARM] if isinstance(cells[WARM], Series) else cells[ONE_SHOT]
    if isinstance(loop, str) or isinstance(around, str) or isinstance(plain, str):
        return loop if isinstance(loop, str) else "-"
    if around.p50 > _LOST * plain.p50:
        return "lost in the time that its start takes"
    return single(max(loop.values[0] - around.values[0], 0.0) / plain.values[0])
