"""Open, run, close: with a child waiting and with none, bare and with pandas loaded."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from sandboxd.environments import Environment
from tests.bench import baselines
from tests.bench.measure import Timed, interleave, timed
from tests.bench.one_shots import REFILL_SECONDS, one_shot, opens
from tests.bench.peers.docker import docker
from tests.bench.peers.work import CODE, ONE_SHOT
from tests.bench.peers.work import PANDAS as FRAMED
from tests.bench.rows import MissingError, Row, Target, at_most, faster
from tests.bench.setup import NO_POOL, PANDAS, Setup, base

HELLO, FRAME = CODE[ONE_SHOT], CODE[FRAMED]
FORK = "a bare clone by the same zygote with the same namespaces"


@dataclass(frozen=True, slots=True)
class Kind:
    """One-shots of one environment, and how much faster than another way to run the same they must be."""

    what: str
    policy: str
    environment: Environment
    code: str
    beside: dict[str, tuple[Timed | str, Target]]  # by name; a text says why it is not here


def rows(setup: Setup) -> Iterator[Row]:
    """Measure both environments; what is not here is a row that says so."""
    own = base()
    beside = {
        "bubblewrap + python -I": (_bubblewrap(setup, own, HELLO), faster(5)),
        "docker run": (docker(setup).operations[ONE_SHOT], faster(50)),
    }
    yield from _rows(setup, Kind("one-shot", "", own, HELLO, beside))
    what = "one-shot with pandas"
    try:
        environment = setup.pandas()
    except MissingError as reason:
        yield Row(f"{what}, a waiting child found", note=str(reason))
        return
    beside = {"bubblewrap + python importing pandas": (_bubblewrap(setup, environment, FRAME), faster(30))}
    yield from _rows(setup, Kind(what, PANDAS, environment, FRAME, beside))


def _rows(setup: Setup, kind: Kind) -> Iterator[Row]:
    environment = kind.environment
    with contextlib.ExitStack() as stack:
        pooled = stack.enter_context(setup.daemon(f"p-{environment.name}"))
        cold = stack.enter_context(setup.daemon(f"c-{environment.name}", *NO_POOL))
        operations = [
            stack.enter_context(one_shot(pooled.address, kind.code, kind.policy, pause=REFILL_SECONDS)),
            timed(stack.enter_context(baselines.bare_zygote(environment))),
            stack.enter_context(one_shot(cold.address, kind.code, kind.policy)),
            stack.enter_context(one_shot(cold.address, kind.code, kind.policy, fresh=True)),
        ]
        counts = [setup.pick(6, 3), setup.pick(20, 10), setup.pick(6, 3), 1]
        for operation, _ in kind.beside.values():
            if not isinstance(operation, str):
                operations.append(operation)
                counts.append(setup.pick(2, 1))
        found, fork, none, fresh, *rest = interleave(
            operations, rounds=setup.pick(12, 3), each=counts, warm_up=2
        )
        hits, total = opens(pooled, environment.name)
        if opens(cold, environment.name)[0]:
            raise RuntimeError("children waited where none should")
    note = f"one waited for {hits} of {total} opens"
    yield Row(f"{kind.what}, a waiting child found", FORK, found, fork, target=at_most(1.5), note=note)
    yield Row(f"{kind.what}, none waiting", FORK, none, fork, target=at_most(6))
    yield Row(f"{kind.what}, isolate.fresh, none waiting", FORK, fresh, fork)
    others = iter(rest)
    for name, (operation, target) in kind.beside.items():
        row = Row(f"{kind.what}, a waiting child found", name, target=target)
        if isinstance(operation, str):
            yield dataclasses.replace(row, note=operation)
        else:
            yield dataclasses.replace(row, ours=found, against=next(others))


def _bubblewrap(setup: Setup, environment: Environment, code: str) -> Timed | str:
    try:
        bwrap = setup.bubblewrap()
    except MissingError as reason:
        return str(reason)
    return timed(baselines.in_bubblewrap(bwrap, setup.python(), _imports(environment, code)))


def _imports(environment: Environment, code: str) -> str:
    """Return the code for a plain interpreter that has to find the environment's packages."""
    site = environment.site_packages
    return f"import sys\nsys.path.append({site!r})\n{code}" if site else code
