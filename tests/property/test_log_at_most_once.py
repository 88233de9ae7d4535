"""At most once, whatever is asked in whatever order: a model of begin, finish, restart and time beside the real index."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Outcome, Result
from sandboxd.log import Executions, Intent, Log, read_history, verify
from sandboxd.log.segments import list_segments

IDS = st.sampled_from(["a", "b", "c"])
DAY = 24 * 3600.0


class AtMostOnce(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.now = 1_790_000_000.0
        self.loop = asyncio.new_event_loop()
        self.known: dict[str, tuple[Intent, float | None, Outcome | None]] = {}
        self.begun: Counter[str] = Counter()
        self.started: dict[str, float] = {}
        self.open()

    def open(self) -> None:
        self.log = Log.open(
            self.directory,
            durability="write",
            rotate_bytes=1500,
            max_total_bytes=1 << 30,
            clock=lambda: self.now,
        )
        self.executions = Executions.open(self.log, read_history(self.directory), clock=lambda: self.now)

    def teardown(self) -> None:
        self.log.close()
        self.loop.close()
        shutil.rmtree(self.directory)

    def forget(self) -> None:
        self.known = {
            key: known for key, known in self.known.items() if known[1] is None or self.now - known[1] <= DAY
        }

    @rule(
        execution_id=IDS,
        uid=st.sampled_from([1, 2]),
        source=st.sampled_from(["x", "y"]),
        callers=st.integers(1, 3),
    )
    def begin(self, execution_id: str, uid: int, source: str, callers: int) -> None:
        intent = Intent(execution_id, uid, "s-1", source, "default", "d")

        async def all_callers() -> list[object]:
            asked = (self.executions.begin(intent) for _ in range(callers))
            return await asyncio.gather(*asked, return_exceptions=True)

        answers = self.loop.run_until_complete(all_callers())
        self.forget()
        known = self.known.get(execution_id)
        if known is None:
            assert sum(answer is None for answer in answers) == 1
            self.known[execution_id] = (intent, None, None)
            self.begun[execution_id] += 1
            self.started[execution_id] = self.now
        elif known[0] == intent:
            assert None not in answers
            assert not any(isinstance(answer, BaseException) for answer in answers)
        else:
            for answer in answers:
                assert isinstance(answer, SandboxdError)
                assert answer.code is Code.EXECUTION_ID_REUSED

    @rule(execution_id=IDS, outcome=st.sampled_from(list(Outcome)))
    def finish(self, execution_id: str, outcome: Outcome) -> None:
        self.forget()
        known = self.known.get(execution_id)
        if known is not None:
            self.executions.finish(execution_id, Result(outcome))
            if known[1] is None:
                self.known[execution_id] = (known[0], self.now, outcome)

    @rule(hours=st.sampled_from([0.1, 5, 20, 25]))
    def wait(self, hours: float) -> None:
        self.now += hours * 3600
        # No execution runs for more than a day: the history that a restart reads counts on it.
        for key, (intent, ended, _) in list(self.known.items()):
            if ended is None and self.now - self.started[intent.execution_id] > DAY:
                self.finish(key, Outcome.TIMEOUT_WALL)

    @rule()
    def restart(self) -> None:
        self.log.close()
        self.open()
        for key, (intent, ended, _) in self.known.items():
            if ended is None:
                self.known[key] = (intent, self.now, Outcome.INFRASTRUCTURE)

    @invariant()
    def what_is_known_is_told_to_its_user_alone(self) -> None:
        self.forget()
        for key in ("a", "b", "c"):
            for uid in (1, 2):
                known = self.known.get(key)
                try:
                    record = self.executions.get(key, uid)
                except SandboxdError:
                    assert known is None or known[0].uid != uid
                else:
                    assert known is not None
                    assert record.intent == known[0]
                    assert (record.result and record.result.outcome) == known[2]

    @invariant()
    def the_log_holds_one_intent_for_each_begin_and_one_outcome_for_each_end(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))
        assert verify(self.directory).ok
        lines = [
            json.loads(line)
            for path in list_segments(self.directory)
            for line in path.read_bytes().splitlines()
        ]
        intents = Counter(line["execution_id"] for line in lines if line["kind"] == "execution_intent")
        outcomes = Counter(line["execution_id"] for line in lines if line["kind"] == "execution_outcome")
        running = Counter(key for key, known in self.known.items() if known[1] is None)
        assert intents == self.begun
        assert outcomes + running == self.begun


TestAtMostOnce = AtMostOnce.TestCase
TestAtMostOnce.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
