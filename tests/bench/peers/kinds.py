"""The kinds of peers: ours, a command a run, and a Python library in an interpreter of its own."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxd_client import Sandbox

from sandboxd.environments import Environment
from tests.bench.measure import Timed, timed
from tests.bench.one_shots import REFILL_SECONDS, one_shot
from tests.bench.peers.work import CODE, LOOP, ONE_SHOT, PANDAS, WARM, WORKLOADS
from tests.bench.rows import MissingError
from tests.bench.setup import PANDAS as POLICY
from tests.bench.setup import Setup

_ANSWER_SECONDS = 120
_WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, slots=True)
class Peer:
    """What can be measured of a peer: an operation for each work, or why there is none."""

    name: str
    isolation: str
    operations: Mapping[str, Timed | str]


def absent(name: str, isolation: str, reason: str) -> Peer:
    """Return a peer that is not here, in every column."""
    return Peer(name, isolation, dict.fromkeys(WORKLOADS, reason))


@contextlib.contextmanager
def ours(setup: Setup, environment: Environment | str) -> Iterator[Peer]:
    """Yield this project's process tier, with the protections that its daemon reports here."""
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(setup.daemon("peers"))
        session = stack.enter_context(Sandbox(address=daemon.address))
        session.run_code(CODE[WARM])
        assert session.info is not None
        hello = stack.enter_context(one_shot(daemon.address, CODE[ONE_SHOT], pause=REFILL_SECONDS))
        frame: Timed | str = "no environment with pandas"
        if isinstance(environment, Environment):
            frame = stack.enter_context(
                one_shot(daemon.address, CODE[PANDAS], POLICY, pause=2 * REFILL_SECONDS)
            )
        yield Peer(
            "sandboxd, process tier",
            _isolation({one.name for one in session.info.protections if one.active}),
            {
                WARM: timed(lambda: session.run_code(CODE[WARM])),
                ONE_SHOT: hello,
                PANDAS: frame,
                LOOP: timed(lambda: session.run_code(CODE[LOOP])),
            },
        )


def _isolation(active: set[str]) -> str:
    namespaces = [name.removesuffix("_namespace") for name in sorted(active) if name.endswith("_namespace")]
    others = ["seccomp allow-list" if "seccomp" in active else "", "Landlock" if "landlock" in active else ""]
    cgroups = [name.removeprefix("cgroup_") for name in sorted(active) if name in {"cgroup_memory", "cgroup_cpu", "cgroup_pids"}]  # fmt: skip
    limits = f"rlimits and cgroup limits ({', '.join(cgroups)})" if cgroups else "rlimits"
    parts = [f"namespaces ({', '.join(namespaces)})", *filter(None, others), limits, "screened, logged"]
    return ", ".join(parts)


def command(
    name: str, isolation: str, start: list[str], site: str | None, *, why_no_pandas: str = ""
) -> Peer:
    """Return a peer that is a command: `start` and then `-c CODE`, a fresh process each time."""

    def run(code: str) -> Timed:
        return timed(lambda: subprocess.run([*start, code], check=True, capture_output=True))

    pandas = (
        run(f"import sys\nsys.path.append({site!r})\n{CODE[PANDAS]}")
        if site
        else why_no_pandas or "no environment with pandas"
    )
    return Peer(
        name,
        isolation,
        {WARM: "no sessions", ONE_SHOT: run(CODE[ONE_SHOT]), PANDAS: pandas, LOOP: run(CODE[LOOP])},
    )


@contextlib.contextmanager
def library(
    name: str, isolation: str, python: Path | str, key: str, options: Mapping[str, Any]
) -> Iterator[Peer]:
    """Yield a peer that is a Python library, run by `worker.py` on the given interpreter."""
    start = [str(python), "-I", str(_WORKER), key, json.dumps(dict(options))]
    process = subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    try:
        hello = _answer(process)
        operations: dict[str, Timed | str] = {
            work: hello["lacks"].get(work) or _asking(process, work) for work in WORKLOADS
        }
        if not options["site"] and PANDAS not in hello["lacks"]:
            operations[PANDAS] = "no environment with pandas"
        yield Peer(name, isolation, operations)
    except MissingError as reason:
        yield absent(name, isolation, str(reason))
    finally:
        process.kill()
        process.communicate()


Ask = Callable[[str], Timed]
"""Gives the operation that does one work by its name."""


@contextlib.contextmanager
def timer(python: Path | str, key: str, options: Mapping[str, Any]) -> Iterator[Ask]:
    """Yield what times any work of `language.py` in a peer that `worker.py` runs.

    Raises:
        MissingError: it does not start.
    """
    start = [str(python), "-I", str(_WORKER), key, json.dumps(dict(options))]
    process = subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    try:
        _answer(process)
        yield lambda work: _asking(process, work)
    finally:
        process.kill()
        process.communicate()


def _asking(process: subprocess.Popen[str], work: str) -> Timed:
    def ask() -> float:
        assert process.stdin is not None
        process.stdin.write(json.dumps(work) + "\n")
        process.stdin.flush()
        return float(_answer(process)["seconds"])

    return ask


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], _ANSWER_SECONDS)[0]:
        raise MissingError(f"no answer within {_ANSWER_SECONDS} s")
    line = process.stdout.readline()
    answer: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
    if "error" in answer:
        raise MissingError(answer["error"])
    return answer
