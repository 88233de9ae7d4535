"""Open, run, close: with a child waiting and with none, bare and with pandas loaded."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from sandboxd.environments import Environment
from tests.bench import baselines
from tests.bench.measure import interleave, timed
from tests.bench.one_shots import REFILL_SECONDS, one_shot
from tests.bench.rows import MissingError, Row, Target, at_most, faster
from tests.bench.setup import PANDAS, Setup, base

HELLO = "print('hello')"
FRAME = "import pandas as pd\nprint(pd.DataFrame({'a': [1, 2, 3]})['a'].sum())"
FORK = "a bare clone by the same zygote with the same namespaces"


@dataclass(frozen=True, slots=True)
class Kind:
    """One-shots of one environment. `beside` is how much faster than bubblewrap they must be."""

    what: str
    policy: str
    environment: Environment
    code: str
    does: str
    beside: Target


def rows(setup: Setup) -> Iterator[Row]:
    """Measure both environments; what is not here is a row that says so."""
    yield from _rows(setup, Kind("one-shot", "", base(), HELLO, "python -I", faster(5)))
    what = "one-shot with pandas"
    try:
        environment = setup.pandas()
    except MissingError as reason:
        yield Row(f"{what}, a waiting child found", note=str(reason))
        return
    yield from _rows(setup, Kind(what, PANDAS, environment, FRAME, "python importing pandas", faster(30)))


def _rows(setup: Setup, kind: Kind) -> Iterator[Row]:
    bwrap, reason = _bubblewrap(setup)
    environment = kind.environment
    with contextlib.ExitStack() as stack:
        pooled = stack.enter_context(setup.daemon(f"p-{environment.name}"))
        cold = stack.enter_context(setup.daemon(f"c-{environment.name}", "--pool-size", "0"))
        operations = [
            stack.enter_context(one_shot(pooled.address, kind.code, kind.policy, pause=REFILL_SECONDS)),
            timed(stack.enter_context(baselines.bare_zygote(environment))),
            stack.enter_context(one_shot(cold.address, kind.code, kind.policy)),
        ]
        counts = [setup.pick(6, 3), setup.pick(20, 10), setup.pick(6, 3)]
        if bwrap:
            code = _imports(environment, kind.code)
            operations.append(timed(baselines.in_bubblewrap(bwrap, environment.python, code)))
            counts.append(setup.pick(2, 1))
        found, fork, none, *rest = interleave(operations, rounds=setup.pick(12, 3), each=counts, warm_up=2)
    yield Row(f"{kind.what}, a waiting child found", FORK, found, fork, target=at_most(1.5))
    yield Row(f"{kind.what}, none waiting", FORK, none, fork, target=at_most(6))
    beside = Row(f"{kind.what}, a waiting child found", f"bubblewrap + {kind.does}", note=reason)
    if rest:
        beside = dataclasses.replace(beside, ours=found, against=rest[0], target=kind.beside)
    yield beside


def _bubblewrap(setup: Setup) -> tuple[str, str]:
    try:
        return setup.bubblewrap(), ""
    except MissingError as reason:
        return "", str(reason)


def _imports(environment: Environment, code: str) -> str:
    """Return the code for a plain interpreter that has to find the environment's packages."""
    site = environment.site_packages
    return f"import sys\nsys.path.append({site!r})\n{code}" if site else code
