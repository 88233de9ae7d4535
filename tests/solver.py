"""A solver that explores 64 branches of one search, two ways: by forking the session, and by replaying its history each time.

The problem is small and its beginning is not: a table that takes work to build, then three choices of four, each of which
changes the state in place, so that whoever wants another choice needs the state from before. One leaf is best.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandboxd_client import Sandbox

CHOICES, DEPTH = 4, 3
LEAVES = CHOICES**DEPTH

PREPARE = """
import functools, operator
state = {step: (step * 7919) % 10007 for step in range(__SIZE__)}
path = []
with open("trail", "w") as file:
    file.write("start")
"""
CHOOSE = """
path.append({choice})
for step in range({choice}, len(state), {stride}):
    state[step] = (state[step] * ({choice} + 3) + len(path)) % 10007
with open("trail", "a") as file:
    file.write("-{choice}")
"""
SCORE = "(sum(state.values()) % 65537, path, open('trail').read())"


@dataclass(frozen=True, slots=True)
class Answer:
    """The best leaf, and all of them in order: score, path, and what stands in the file that each branch has for itself."""

    best: str
    leaves: tuple[str, ...]


def by_fork(open_sandbox: Callable[[], Sandbox], size: int) -> Answer:
    """Prepare once, and fork at each choice."""
    with open_sandbox() as sandbox:
        _run(sandbox, PREPARE.replace("__SIZE__", str(size)))
        return _answer(_below(sandbox, 0))


def by_replay(open_sandbox: Callable[[], Sandbox], size: int) -> Answer:
    """Open a session for each branch, and do all again that leads to it."""

    def leaves() -> Iterator[str]:
        for path in itertools.product(range(CHOICES), repeat=DEPTH):
            with open_sandbox() as sandbox:
                _run(sandbox, PREPARE.replace("__SIZE__", str(size)))
                for choice in path:
                    _choose(sandbox, choice)
                yield _run(sandbox, SCORE)

    return _answer(leaves())


def _below(sandbox: Sandbox, depth: int) -> Iterator[str]:
    if depth == DEPTH:
        yield _run(sandbox, SCORE)
        return
    clones = sandbox.fork(CHOICES)
    try:
        for choice, clone in enumerate(clones):
            _choose(clone, choice)
            yield from _below(clone, depth + 1)
            clone.close()
    finally:
        for clone in clones:
            clone.close()


def _choose(sandbox: Sandbox, choice: int) -> None:
    _run(sandbox, CHOOSE.format(choice=choice, stride=CHOICES + 1))


def _run(sandbox: Sandbox, code: str) -> str:
    execution = sandbox.run_code(code)
    if not execution.ok:
        raise RuntimeError(f"{code!r} ended {execution.outcome}: {execution.error or execution.evidence}")
    return execution.text or ""


def _answer(leaves: Iterator[str]) -> Answer:
    found = tuple(leaves)
    return Answer(max(found, key=lambda leaf: int(leaf[1:].split(",", 1)[0])), found)
