"""The soak: thousands of one-shots and hundreds of sessions of every kind of end, and nothing grows."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
from mutants import Edit
from sandboxd_client import Outcome
from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from crash import gauge, heaps
from crash.house import House
from crash.load import SNIPPETS, TIMEOUT_SECONDS, WITH_TOOLS, Caller

CALLERS = 2
# The front remembers ended executions for a day, 1.2 KiB each, up to this bound. A lower one is reached in the warm-up:
# what grows afterwards is a leak.
FEW_RECORDS = Edit("log/executions.py", "MAX_RECORDS = 100_000", "MAX_RECORDS = 100")
FEW_ENDED = Edit("sessions/ended.py", "_ENDED_MAX = 1024", "_ENDED_MAX = 50")
FEW_VERDICTS = Edit("screen/cache.py", "_ENTRIES = 1024", "_ENTRIES = 100")
EDITS = (FEW_RECORDS, FEW_ENDED, FEW_VERDICTS, *heaps.EDITS)
FLAGS = ("--log-level", "warning")
# Most snippets are harmless, and the slow ones few.
WEIGHTS = [1 if "while True" in code or "900" in code or "2_000_000" in code else 8 for code in SNIPPETS]


@dataclass(slots=True)
class Report:
    """What a soak saw."""

    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    samples: list[gauge.Sample] = field(default_factory=list)
    seconds: float = 0.0


class OneShots(threading.Thread):
    """One caller of `Run`: open, execute, close in one call, so many times."""

    def __init__(self, address: str, seed: int, count: int) -> None:
        super().__init__(daemon=True)
        self.outcomes: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self._address, self._count = address, count
        self._chance = random.Random(seed)

    def run(self) -> None:
        try:
            options = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(self._address, options) as channel:
                stub = rpc.SandboxServiceStub(channel)
                for number in range(self._count):
                    self._one(stub, number)
        except BaseException as error:  # noqa: BLE001  told to the soak
            self.failure = error

    def _one(self, stub: rpc.SandboxServiceStub, number: int) -> None:
        code = self._chance.choices([*SNIPPETS], WEIGHTS)[0]
        execute = pb.Execute(
            execution_id=uuid.uuid4().hex,
            code=f"{code}\n# {number}",  # each another text: verdicts are cached
            timeout_seconds=TIMEOUT_SECONDS,
        )
        messages = list(stub.Run(pb.RunRequest(open=pb.Open(policy="unscreened"), execute=execute)))
        events = [event for message in messages for event in (message, *message.more)]
        results = [event.result for event in events if event.HasField("result")]
        assert len(results) == 1, (code, events)
        result = results[0]
        outcome = pb.Outcome.Name(result.outcome).removeprefix("OUTCOME_").lower()
        expected = SNIPPETS[code]
        assert outcome in {*expected, "timeout_wall"}, (code, outcome, result.evidence)
        self.outcomes[outcome] += 1


class Soak:
    """One soak of one house, which is started. Between two windows the house is quiet, and looked at."""

    def __init__(self, house: House, seed: int) -> None:
        self.report = Report(seed)
        self._house = house
        self._seeds = random.Random(seed)
        self._executions = 0

    def run(self, *, one_shots: int, sessions: int, windows: int) -> Report:
        """Run so many of each, in as many windows."""
        began = time.monotonic()
        for shots, visits in zip(_shares(one_shots, windows), _shares(sessions, windows), strict=True):
            self._window(shots, visits)
            if self.report.samples:
                self._house.assert_quiet()  # as it was after the first window: in counts nothing may grow
            else:
                self._house.come_to_rest()
            self.report.samples.append(gauge.take(self._house, self._executions))
        self.report.seconds = time.monotonic() - began
        return self.report

    def _window(self, one_shots: int, sessions: int) -> None:
        callers: list[OneShots | Caller] = [
            OneShots(self._house.address, self._seeds.randrange(1 << 30), count)
            for count in _shares(one_shots, CALLERS)
        ]
        callers.append(Caller(self._house.address, self._seeds.randrange(1 << 30), sessions))
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
            if caller.failure is not None:
                raise AssertionError(f"a caller failed: {caller.failure!r}") from caller.failure
            self._count(caller)

    def _count(self, caller: OneShots | Caller) -> None:
        if isinstance(caller, OneShots):
            self.report.outcomes += caller.outcomes
            self._executions += sum(caller.outcomes.values())
            return
        for told in caller.told.values():
            assert told.error is None, told.error
            assert told.execution is not None
            assert told.execution.outcome.value in {
                *(SNIPPETS | WITH_TOOLS)[told.code],
                Outcome.TIMEOUT_WALL,
            }, told
            self.report.outcomes[told.execution.outcome.value] += 1
            self._executions += 1


def _shares(total: int, parts: int) -> Iterator[int]:
    """Share a number out as evenly as it goes."""
    for part in range(parts):
        yield total * (part + 1) // parts - total * part // parts
