"""A session that is under attack from beside: its warm latency stays within twice its own, measured in the same run.

An attack goes on in one session for as long as that lives: how fast a principal may open sessions is admission's business.

The claim is 2 x. On a machine where two noisy cores serve everything a median moves by itself, so each attack gets the best
of six rounds, with a baseline of its own beside each; and where the machine itself is busy with others' work (its load
average says so) the bound is 4 x. The ratios are printed either way.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time

import pytest
from attack import Attack, cell, own, sample
from rig import Desk, Rig, rig
from sandboxd_client import Sandbox, SessionLostError

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]

BY_NAME = {attack.name: attack for attack in (*own(), *sample())}
ATTACKS = (
    "RES-001",  # fork bomb
    "RES-002",  # thread bomb
    "RES-003",  # heap
    "RES-009",  # disk
    "RES-012",  # output
    "resource/spin_in_children",
    "resource/memory_of_many",
    "resource/zombies",
    "resource/pipe_buffers",
    "tools/flood_unread",
)
ROUNDS = 6
SNIPPETS = 120
BOUND, BOUND_ON_A_BUSY_MACHINE = 2.0, 4.0


def median_seconds(sandbox: Sandbox, until: threading.Event | None = None) -> float:
    taken = []
    while len(taken) < SNIPPETS and not (
        until is not None and until.is_set() and len(taken) >= SNIPPETS // 4
    ):
        before = time.perf_counter()
        assert sandbox.run_code("1 + 1", timeout=10).ok
        taken.append(time.perf_counter() - before)
    return statistics.median(taken)


class Siege(threading.Thread):
    """One attack, again and again in a session of its own, in another when that is lost, until told to stop."""

    def __init__(self, running: Rig, attack: Attack) -> None:
        super().__init__()
        self.running, self.attack = running, attack
        self.over = threading.Event()
        self.began = threading.Event()

    def run(self) -> None:
        limits, code = dict(self.attack.limits), cell(self.attack, self.attack.code)
        while not self.over.is_set():
            tools = Desk().tools() if self.attack.tools else ()
            with contextlib.suppress(SessionLostError), self.running.sandbox(tools, **limits) as sandbox:
                self.began.set()
                while not self.over.is_set():
                    sandbox.run_code(code, timeout=1)


def ratio(running: Rig, attack: Attack, sandbox: Sandbox) -> float:
    alone = median_seconds(sandbox)
    siege = Siege(running, attack)
    siege.start()
    siege.began.wait(10)
    try:
        return median_seconds(sandbox) / alone
    finally:
        siege.over.set()
        siege.join()


def test_a_neighbours_latency_stays_within_twice_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    busy = os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)
    bound = BOUND_ON_A_BUSY_MACHINE if busy else BOUND
    best = {}
    with rig() as running:
        with running.sandbox() as sandbox:
            median_seconds(sandbox)
            for name in ATTACKS:
                rounds: list[float] = []
                while len(rounds) < ROUNDS and min(rounds, default=bound + 1) > bound:
                    rounds.append(ratio(running, BY_NAME[name], sandbox))
                best[name] = min(rounds)
        assert running.left() == []
    with capsys.disabled():
        shown = ", ".join(f"{name} {value:.2f}" for name, value in best.items())
        print(f"\nneighbour's warm latency under attack, by its own (bound {bound}): {shown}")  # noqa: T201
    assert {name: value for name, value in best.items() if value > bound} == {}
