"""Random kills in the container tier under load: any part, at any moment; the truth is asked for at the end."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sandboxd_client import Sandbox
from traces import find, reap

from crash.fleet import RUNTIMES, Fleet, ask
from crash.house import VISITORS, Ended
from crash.load import Caller, double
from crash.visits import ClientProcess, assert_truthful

CALLERS = 2
# Front and engine cost a start each.
WEIGHTS = {"init": 5, "guest": 3, "waiting": 3, "broker": 3, "shim": 1, "client": 1, "front": 1, "engine": 1}
LONGEST_SECONDS = 0.8


@dataclass(slots=True)
class Report:
    """What was killed, and what came of the executions."""

    seed: int
    killed: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        told = {"killed": self.killed, "outcomes": self.outcomes, "callers were told": self.errors}
        lines = (f"{name}: {dict(counted)}" for name, counted in told.items())
        return f"containers, {self.killed.total()} kills, seed {self.seed}\n  " + "\n  ".join(lines)


class _ContainerCaller(Caller):
    """A caller whose sessions are containers; what these have not (clones, checkpoints) is not asked of them."""

    def __init__(self, address: str, seed: int, policy: str) -> None:
        super().__init__(address, seed)
        self._policy = policy

    def _make(self) -> Sandbox:
        return Sandbox(self._policy, self._address, open_timeout=30, tools=[double])


class ContainerKills:
    """One run on a fleet that is started. The same seed draws the same victims; moments are the machine's."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.report = Report(seed)
        self._fleet = fleet
        self._chance = random.Random(seed)
        self._callers: list[Caller] = []
        self._client = ClientProcess()

    def run(self, kills: int) -> Report:
        """Kill while callers are at work; then all must be as it was, and the log must have the truth."""
        address = self._fleet.address
        self._callers = [
            _ContainerCaller(address, self._chance.randrange(1 << 30), f"in-{RUNTIMES[number % 2]}")
            for number in range(CALLERS)
        ]
        for caller in self._callers:
            caller.start()
        self._client.kill()
        self._send_client()
        try:
            while self.report.killed.total() < kills:
                time.sleep(self._chance.uniform(0, LONGEST_SECONDS))
                self._kill_one(self._chance.choices([*WEIGHTS], [*WEIGHTS.values()])[0])
        finally:
            self._end_callers()
        # Of gVisor's kind one may wait too: a new front has a pool of what it is asked for, and no more.
        self._fleet.strike("front")
        self._fleet.restore("front")
        self._fleet.assert_serves()
        self._fleet.assert_quiet()
        self._fleet.assert_untouched()
        self._check()
        return self.report

    def _send_client(self) -> None:
        self._client = ClientProcess("in-runc")
        self._client.go(self._fleet.address, "running")

    def _kill_one(self, target: str) -> None:
        if target == "client":
            self._client.kill()
            self._send_client()
        elif target in {"front", "engine"}:
            self._fleet.strike(target)
            time.sleep(self._chance.uniform(0, LONGEST_SECONDS))  # some find it dead
            self._fleet.restore(target)
        elif not self._strike(target):
            return
        self.report.killed[target] += 1

    def _strike(self, target: str) -> bool:
        """Kill one process of a part; False when there is none just now."""
        found = self._find(target)
        if not found:
            return False
        try:
            os.kill(self._chance.choice(found), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _find(self, target: str) -> list[int]:
        if target == "broker":
            return find("broker", self._fleet.front)
        pids = []
        for one in self._fleet.ours("running"):
            # A container that waits was not renamed after a session yet.
            waits = not any("/sandboxd-" in name for name in one["Names"])
            found = ask(self._fleet.engine, f"/containers/{one['Id']}/json") if waits == (target == "waiting") else None  # fmt: skip
            pid = int(found["State"]["Pid"]) if found and "State" in found else 0
            if pid:
                pids += self._of(pid, target)
        return sorted(pids)

    @staticmethod
    def _of(init: int, target: str) -> list[int]:
        try:
            if target == "guest":
                return [int(pid) for pid in Path(f"/proc/{init}/task/{init}/children").read_text().split()]
            if target == "shim":
                shim = int(Path(f"/proc/{init}/stat").read_text().rpartition(")")[2].split()[1])
                named = "containerd-shim" in Path(f"/proc/{shim}/comm").read_text() or "containerd-sh" in Path(f"/proc/{shim}/comm").read_text()  # fmt: skip
                return [shim] if named else []
        except OSError:
            return []
        return [init]

    def _end_callers(self) -> None:
        for caller in self._callers:
            caller.stop.set()
        for caller in self._callers:
            caller.join(90)
        self._client.kill()
        daemon = self._fleet.daemon
        reap({*VISITORS, *([daemon.process.pid] if daemon is not None else [])})

    def _check(self) -> None:
        log = self._fleet.log()
        for execution_id, ended in log.items():
            assert (ended.intents, ended.outcomes) == (1, 1), (execution_id, ended)
            self.report.outcomes[ended.outcome] += 1
        for caller in self._callers:
            assert not caller.is_alive(), "a caller was left waiting"
            assert caller.failure is None, repr(caller.failure)
            for execution_id, told in caller.told.items():
                ended = log.get(execution_id, Ended())
                assert_truthful(told.execution, told.error, ended, opened=told.opened)
                if told.error is not None:
                    self.report.errors[f"{type(told.error).__name__} {told.error.code}"] += 1
