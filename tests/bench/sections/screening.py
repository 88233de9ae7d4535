"""What the screen costs: a real screener process over its pipe, against `ast.parse` of the same text here."""

from __future__ import annotations

import ast
import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Iterator

from sandboxd.events import Decision
from sandboxd.policy import PolicySet
from sandboxd.screen import Screener
from tests.bench.measure import Timed, interleave
from tests.bench.rows import MICROSECONDS, Row, at_most, below
from tests.bench.setup import ROOT, Setup

_LONG_SNIPPETS = 60


def rows(setup: Setup) -> Iterator[Row]:
    """Screen a tiny, a typical and a long text that were never seen before, then one that was."""
    with asyncio.Runner() as runner:
        screener = Screener()
        runner.run(screener.start())
        try:
            for name, text in texts().items():
                yield from _rows(setup, runner, screener, name, text)
        finally:
            runner.run(screener.close())


def _rows(setup: Setup, runner: asyncio.Runner, screener: Screener, name: str, text: str) -> Iterator[Row]:
    policy = PolicySet.load(None, default="data-science", allow_unscreened=False).get("data-science")
    numbers = itertools.count()

    def screen(code: str) -> float:
        async def check() -> float:
            started = time.perf_counter()
            verdict = await screener.check(code, policy)
            seconds = time.perf_counter() - started
            if verdict.decision not in {Decision.ALLOW, Decision.WARN}:
                raise RuntimeError(f"the {name} text was denied: {verdict.findings}")
            return seconds

        return runner.run(check())

    def fresh() -> float:
        return screen(f"{text}\n# {next(numbers)}")

    def parse() -> float:
        code = f"{text}\n# {next(numbers)}"
        started = time.perf_counter()
        ast.parse(code)
        return time.perf_counter() - started

    operations: list[Timed] = [fresh, parse, lambda: screen(text)]
    first, parsed, again = interleave(operations, rounds=setup.pick(20, 2), each=setup.pick(20, 4))
    size = f"{len(text)} bytes"
    # A pipe there and back takes longer than parsing three bytes three times: there the row is only told.
    target = None if name == "tiny" else at_most(3)
    yield Row(
        f"screening a {name} text", "ast.parse of the same text", first, parsed, MICROSECONDS, target, size
    )
    yield Row(
        f"screening a {name} text again, cached", "", again, unit=MICROSECONDS, target=below(50e-6, "50 us")
    )


def texts() -> dict[str, str]:
    """Return a tiny, a typical and a long text."""
    lines = (ROOT / "tests/corpus/agent_snippets.jsonl").read_text().splitlines()
    codes = [one["code"] for one in map(json.loads, lines) if not one["tools"]]
    codes.sort(key=len)
    middle = int(statistics.median(range(len(codes))))
    long = "\n".join(itertools.islice(itertools.cycle(codes), _LONG_SNIPPETS))
    return {"tiny": "1+1", "typical": codes[middle], "long": long}
