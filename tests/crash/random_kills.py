"""Random kills under a mixed load: any part, at any moment, again and again; the truth is asked for at the end."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

from traces import family, look, reap

from crash.house import VISITORS, Ended, House
from crash.load import Caller
from crash.visits import ClientProcess, assert_truthful

CALLERS = 2
ROLES = {
    "guest": "inmate",
    "waiting": "waiting",
    "pid1": "pid1",
    "zygote": "zygote",
    "launcher": "launcher",
    "screener": "screener",
    "front": "front",
}
# A front and a client cost the start of another one: they are drawn less often.
WEIGHTS = dict.fromkeys(ROLES, 3) | {"guest": 6, "pid1": 6, "front": 2, "client": 1}
LONGEST_SECONDS = 0.12


@dataclass(slots=True)
class Report:
    """What was killed, and what came of the executions."""

    mode: str
    seed: int
    killed: Counter[str] = field(default_factory=Counter)
    executions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        parts = [
            f"{self.killed.total()} kills in mode {self.mode}, seed {self.seed}: {_told(self.killed)}",
            f"{self.executions} executions in the log: {_told(self.outcomes)}",
            f"callers were told: {_told(self.errors)}",
        ]
        return "\n  ".join(parts)


class RandomKills:
    """One run on one house, which is started. The same seed draws the same victims; moments are the machine's."""

    def __init__(self, house: House, seed: int) -> None:
        self.report = Report(house.mode.name, seed)
        self._house = house
        self._chance = random.Random(seed)
        self._callers: list[Caller] = []
        self._client: ClientProcess | None = None

    def run(self, kills: int) -> Report:
        """Kill while callers are at work; then all must be as it was, and the log must have the truth."""
        self._callers = [Caller(self._house.address, self._chance.randrange(1 << 30)) for _ in range(CALLERS)]
        for caller in self._callers:
            caller.start()
        self._send_client()
        try:
            while self.report.killed.total() < kills:
                time.sleep(self._chance.uniform(0, LONGEST_SECONDS))
                self._kill_one(self._chance.choices([*WEIGHTS], [*WEIGHTS.values()])[0])
        finally:
            self._end_callers()
        self._house.assert_nothing_more()
        self._house.assert_serves()
        self._house.assert_quiet()
        self._check()
        return self.report

    def _send_client(self) -> None:
        self._client = ClientProcess()
        self._client.go(self._house.address, "running")

    def _kill_one(self, target: str) -> None:
        if target == "client":
            assert self._client is not None
            self._client.kill()
            self.report.killed[target] += 1
            self._send_client()
            return
        if not self._strike(ROLES[target]):
            return
        self.report.killed[target] += 1
        if target == "front":
            self._house.buried()
            self._house.assert_nothing()
            self._house.log()
            self._house.start()

    def _strike(self, role: str) -> bool:
        """Kill one process of a role; False when there is none just now."""
        members = [process for process in family() if process.role == role]
        # What was just forked looks like its maker: a launcher is a child of the front, and the front is known.
        found = [
            process.pid for process in members if role != "launcher" or process.parent == self._house.front
        ]
        if role == "front":
            found = [self._house.front]
        if not found:
            return False
        pid = self._chance.choice(found)
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            process = look(pid)
            if process is None or process.role != role:  # gone, and the number is another's
                return False
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def _end_callers(self) -> None:
        for caller in self._callers:
            caller.stop.set()
        for caller in self._callers:
            caller.join(60)
        if self._client is not None:
            self._client.kill()
        daemon = self._house.daemon
        reap({*VISITORS, *([daemon.process.pid] if daemon is not None else [])})

    def _check(self) -> None:
        for caller in self._callers:
            assert not caller.is_alive(), "a caller was left waiting"
            assert caller.failure is None, repr(caller.failure)
        log = self._house.log()
        for execution_id, ended in log.items():
            assert (ended.intents, ended.outcomes) == (1, 1), (execution_id, ended)
            self.report.outcomes[ended.outcome] += 1
        self.report.executions = len(log)
        for caller in self._callers:
            for execution_id, told in caller.told.items():
                assert_truthful(
                    told.execution, told.error, log.get(execution_id, Ended()), opened=told.opened
                )
                if told.error is not None:
                    self.report.errors[f"{type(told.error).__name__} {told.error.code}"] += 1


def _told(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counted.most_common()) or "nothing"
