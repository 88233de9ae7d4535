"""What layer 2 costs: its compiler beside Python's, and its programs beside plain CPython's, smolagents' and Monty's.

All run in interpreters of their own and keep the clock themselves; a program that was compiled is kept, as the daemon's cache
keeps it, so that a run-time row shows run-time alone.
"""

from __future__ import annotations

import ast
import contextlib
import json
import sysconfig
from collections.abc import Iterator

from sandboxd.restrict import compile_program
from tests.bench.measure import Series, Timed, interleave, timed
from tests.bench.peers import install, kinds
from tests.bench.peers.language import LANGUAGE
from tests.bench.rows import MICROSECONDS, MILLISECONDS, MissingError, Row, at_most
from tests.bench.sections.screening import texts
from tests.bench.setup import ROOT, Setup

_PLAIN = "the same in plain CPython"
_PEERS = (("smolagents", "smolagents"), ("pydantic-monty", "monty"))


def rows(setup: Setup) -> Iterator[Row]:
    """Compile, then run each workload, then all of them; with --peers beside the peers of the same run."""
    yield from _compiling(setup)
    yield from _running(setup)


def _compiling(setup: Setup) -> Iterator[Row]:
    for name, text in texts().items():

        def plain(text: str = text) -> object:
            return compile(ast.parse(text), "<cell>", "exec", dont_inherit=True)

        def ours(text: str = text) -> object:
            made = compile_program(text, ast.parse(text))
            if made.refusals:
                raise RuntimeError(f"refused: {made.refusals}")
            return made.program

        first, second = interleave(
            [timed(ours), timed(plain)], rounds=setup.pick(20, 2), each=setup.pick(20, 4)
        )
        yield Row(
            f"restricted compile of a {name} text",
            "ast.parse and compile of it",
            first,
            second,
            MICROSECONDS,
            note=f"{len(text)} bytes",
        )


def _running(setup: Setup) -> Iterator[Row]:
    with contextlib.ExitStack() as stack:
        python = setup.python()
        options = {"site": None, "root": str(ROOT), "restrictedpython": sysconfig.get_paths()["purelib"]}
        plain = stack.enter_context(kinds.timer(python, "cpython", options))
        pure = stack.enter_context(kinds.timer(python, "pure", options))
        peers: dict[str, kinds.Ask] = {}
        for name, key in _installed(setup):
            try:
                peers[name] = stack.enter_context(kinds.timer(install.python(), key, options))
            except MissingError as reason:
                yield Row(name, note=f"does not start: {reason}"[:200])
        for work in LANGUAGE:
            yield from _row(setup, work, plain, pure, peers)
        yield _overall(setup, plain, pure)


def _installed(setup: Setup) -> Iterator[tuple[str, str]]:
    """Yield the peers that a run with --peers installed: a run without it installs nothing."""
    record = install.HOME / "installed.json"
    if setup.peers is None or setup.quick or not record.exists():
        return
    versions = json.loads(record.read_text())
    for package, key in _PEERS:
        if not versions.get(package, "!").startswith("!"):
            yield f"{package} {versions[package]}", key


def _row(
    setup: Setup, work: str, plain: kinds.Ask, pure: kinds.Ask, peers: dict[str, kinds.Ask]
) -> Iterator[Row]:
    operations: list[Timed] = [pure(work), plain(work)]
    names, missing = [], {}
    for name, ask in peers.items():
        operation = ask(work)
        try:
            operation()
        except MissingError as reason:
            missing[name] = str(reason)
        else:
            names.append(name)
            operations.append(operation)
    # A peer that takes a hundred times as long gets fewer turns.
    each = [setup.pick(5, 2), setup.pick(5, 2), *(1 for _ in names)]
    ours, baseline, *theirs = interleave(operations, rounds=setup.pick(12, 2), each=each, warm_up=1)
    yield Row(f"restricted, {work}", _PLAIN, ours, baseline, MILLISECONDS)
    for name, series in zip(names, theirs, strict=True):
        yield Row(f"{name}, {work}", _PLAIN, series, baseline, MILLISECONDS)
    for name, reason in missing.items():
        yield Row(f"{name}, {work}", _PLAIN, note=f"fails: {reason}"[:200])


def _overall(setup: Setup, plain: kinds.Ask, pure: kinds.Ask) -> Row:
    def all_of(ask: kinds.Ask) -> Timed:
        operations = [ask(work) for work in LANGUAGE]
        return lambda: sum(operation() for operation in operations)

    ours, baseline = _pair(setup, all_of(pure), all_of(plain))
    return Row("restricted, all of these", _PLAIN, ours, baseline, MILLISECONDS, at_most(2))


def _pair(setup: Setup, ours: Timed, plain: Timed) -> tuple[Series, Series]:
    first, second = interleave([ours, plain], rounds=setup.pick(12, 2), each=setup.pick(5, 2), warm_up=1)
    return first, second
