"""The pipeline: intent before start, exactly one outcome after, whatever happens. The log is the real one."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Decision, Evidence, Finding, Outcome, Output, Result, ToolSpec, Verdict
from sandboxd.log import Executions, Log, Record
from sandboxd.pipeline import Flight, Pipeline, Snippet
from sandboxd.policy import PolicySet
from sandboxd.quota import Admission, Bounds
from sandboxd.screen.tools import SessionNames
from sandboxd.undo import SafetyNet

ALLOW = Verdict(Decision.ALLOW)
OK = Result(Outcome.OK, Evidence("guest"))


class Screen:
    """Gives one verdict."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.signatures: list = []

    async def check(self, code, policy, *, signatures=None) -> Verdict:
        self.signatures.append(signatures)
        return self.verdict


class Box:
    """A box that ends as told; `started` says whether anything ran, and what the log had by then."""

    def __init__(self, log_dir, end=OK) -> None:
        self.end, self.log_dir = end, log_dir
        self.started: list[list[str]] = []
        self.cancelled_by = ""
        self.rested = 0
        self.release = asyncio.Event()

    async def execute(self, job, sink) -> Result:
        self.started.append([line["kind"] for line in records(self.log_dir)])
        sink(Output("stdout", b"x"))
        if self.end == "wait":
            await self.release.wait()
            return Result(Outcome.CANCELLED, Evidence(code=self.cancelled_by))
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end

    def rest(self) -> None:
        self.rested += 1

    def cancel(self, code: str) -> None:
        self.cancelled_by = code
        self.release.set()


async def until(condition) -> None:
    """Let the loop turn until a condition holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


def records(directory) -> list[dict]:
    lines = [line for path in sorted(directory.glob("*")) for line in path.read_text().splitlines()]
    return [record for record in map(json.loads, lines) if record["kind"].startswith("execution_")]


def fly(snippet: Snippet, box=None, *, per_snippet: bool = False, recorded=None) -> Flight:
    record = (lambda *_: None) if recorded is None else (lambda *what: recorded.append(what))
    return Flight(snippet, SafetyNet(box, per_snippet=per_snippet, record=record))


@pytest.fixture
def policy():
    return PolicySet.load(None, default="default", allow_unscreened=False).get("")


@pytest.fixture
def house(tmp_path, policy):
    log = Log.open(tmp_path / "log", durability="write", rotate_bytes=1 << 20, max_total_bytes=1 << 24)

    class House:
        directory = tmp_path / "log"
        admission = Admission(Bounds(max_sessions=9, max_concurrent=1, max_queue=1))
        executions = Executions.open(log, [])

        def pipeline(self, verdict: Verdict = ALLOW) -> Pipeline:
            return Pipeline(router=Screen(verdict), admission=self.admission, executions=self.executions)

        def flight(self, execution_id="execution-1", code="1", session="s-1", uid=7) -> Flight:
            return fly(Snippet(execution_id, uid, session, code, policy, 5.0))

        def outcomes(self) -> list[tuple[str, str]]:
            log.close()  # outcomes are committed in groups, soon
            found = records(self.directory)
            assert [record["kind"] for record in found] == ["execution_intent", "execution_outcome"]
            assert len({record["execution_id"] for record in found}) == 1
            return [(found[1]["outcome"], json.dumps(found[1]))]

    house = House()
    house.events = []
    yield house
    log.close()


async def test_the_intent_is_in_the_log_before_the_start_and_the_outcome_after(house):
    box = Box(house.directory)
    assert await house.pipeline().run(house.flight(), box, house.events.append) == OK
    assert box.started == [["execution_intent"]]
    assert house.outcomes()[0][0] == "ok"
    assert house.events == [ALLOW, Output("stdout", b"x"), OK]
    assert house.admission.running == 0
    assert box.rested == 1


async def test_the_result_goes_out_before_its_outcome_is_recorded(house):
    recorded = []

    def emit(event) -> None:
        if isinstance(event, Result):
            recorded.append(house.executions.get("execution-1", 7).result)

    await house.pipeline().run(house.flight(), Box(house.directory), emit)
    assert recorded == [None], "no outcome delays a result"
    assert house.executions.get("execution-1", 7).result == OK


@pytest.mark.parametrize("decision", [Decision.DENY, Decision.ROUTE])
async def test_anything_but_allow_and_warn_never_starts(house, decision):
    verdict = Verdict(decision, (Finding("a-rule", "SBX1", "error", "no"),))
    box = Box(house.directory)
    result = await house.pipeline(verdict).run(house.flight(), box, house.events.append)
    assert (result.outcome, result.evidence.code, result.evidence.source) == (
        Outcome.DENIED,
        "a-rule",
        "screen",
    )
    assert box.started == []
    assert house.events[0] == verdict
    assert [event.outcome for event in house.events[1:]] == [Outcome.DENIED]
    assert house.outcomes()[0][0] == "denied"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (SandboxdError(Code.JAIL_FAILED, "x"), "JAIL_FAILED"),
        (ValueError("secret-of-the-program"), "INTERNAL"),
        (OSError(5, "x"), "INTERNAL"),
    ],
)
async def test_a_fault_of_the_tier_is_an_infrastructure_outcome(house, fault, code):
    result = await house.pipeline().run(house.flight(), Box(house.directory, fault), house.events.append)
    assert (result.outcome, result.evidence.code) == (Outcome.INFRASTRUCTURE, code)
    outcome, line = house.outcomes()[0]
    assert outcome == "infrastructure"
    assert "secret" not in line


async def test_a_cancelled_task_leaves_one_outcome(house):
    box = Box(house.directory, "wait")
    task = asyncio.create_task(house.pipeline().run(house.flight(), box, house.events.append))
    await until(lambda: box.started)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.outcomes()[0][0] == "killed"
    assert house.admission.running == 0


async def test_a_stop_while_it_runs_goes_to_the_box(house):
    box, flight = Box(house.directory, "wait"), house.flight()
    task = asyncio.create_task(house.pipeline().run(flight, box, house.events.append))
    await until(lambda: box.started)
    flight.stop("client")
    flight.stop("operator")  # the first one is the one recorded
    assert (await task).evidence.code == "client"


@pytest.mark.parametrize(("actor", "outcome"), [("client", Outcome.CANCELLED), ("operator", Outcome.KILLED)])
async def test_a_stop_while_it_waits_is_recorded_without_a_start(house, actor, outcome):
    await house.admission.enter()
    box, flight = Box(house.directory), house.flight()
    task = asyncio.create_task(house.pipeline().run(flight, box, house.events.append))
    await until(lambda: house.admission.queued)
    flight.stop(actor)
    result = await task
    assert (result.outcome, result.evidence.code) == (outcome, actor)
    assert box.started == []
    assert house.outcomes()[0][0] == outcome.value
    house.admission.leave()
    assert (house.admission.running, house.admission.queued) == (0, 0)


async def test_a_daemons_own_cancellation_while_it_waits_is_no_stop(house):
    await house.admission.enter()
    flight = house.flight()
    task = asyncio.create_task(house.pipeline().run(flight, Box(house.directory), house.events.append))
    await until(lambda: house.admission.queued)
    flight.stop("client")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert records(house.directory) == []


async def test_a_full_queue_refuses_before_the_intent_and_the_id_may_come_again(house):
    await house.admission.enter()
    waiting = asyncio.create_task(house.admission.enter())
    await asyncio.sleep(0)
    box = Box(house.directory)
    with pytest.raises(SandboxdError) as caught:
        await house.pipeline().run(house.flight(), box, house.events.append)
    assert caught.value.code == Code.QUOTA_QUEUE
    assert (records(house.directory), house.events) == ([], [])
    house.admission.leave()
    await waiting
    house.admission.leave()
    assert await house.pipeline().run(house.flight(), box, house.events.append) == OK


async def test_a_repeated_id_starts_nothing_and_emits_nothing(house):
    box = Box(house.directory)
    await house.pipeline().run(house.flight(), box, house.events.append)
    house.events.clear()
    again = await house.pipeline().run(house.flight(), box, house.events.append)
    assert isinstance(again, Record)
    assert again.result is not None
    assert (len(box.started), house.events, house.admission.running) == (1, [], 0)


@pytest.mark.parametrize("other", [{"code": "2"}, {"session": "s-2"}, {"uid": 8}])
async def test_a_reused_id_is_refused_and_starts_nothing(house, other):
    box = Box(house.directory)
    await house.pipeline().run(house.flight(), box, house.events.append)
    with pytest.raises(SandboxdError) as caught:
        await house.pipeline().run(house.flight(**other), box, house.events.append)
    assert caught.value.code == Code.EXECUTION_ID_REUSED
    assert (len(box.started), house.admission.running) == (1, 0)


async def test_a_restricted_session_is_never_given_plain_text(house, policy):
    """Not by a verdict that lost its program either: the guest's own latch is new with each interpreter."""
    box = Box(house.directory)
    snippet = dataclasses.replace(house.flight().snippet, policy=dataclasses.replace(policy, restricted=True))
    result = await house.pipeline().run(fly(snippet), box, house.events.append)
    assert (result.outcome, result.evidence.code) == (Outcome.INFRASTRUCTURE, "INTERNAL")
    assert box.started == []
    compiled = dataclasses.replace(ALLOW, program=b"compiled")
    again = fly(dataclasses.replace(snippet, execution_id="execution-2"))
    assert await house.pipeline(compiled).run(again, box, house.events.append) == OK


def weather() -> ToolSpec:
    return ToolSpec("weather", "", '{"type": "object", "properties": {}}')


async def test_a_snippet_is_screened_with_its_session_s_tools_and_tells_what_it_takes(house):
    names = SessionNames([weather()])
    taking = dataclasses.replace(ALLOW, binds=("weather", "x"))
    pipeline = house.pipeline(taking)
    await pipeline.run(
        fly(dataclasses.replace(house.flight().snippet, names=names)),
        Box(house.directory),
        house.events.append,
    )
    assert pipeline._router.signatures == [SessionNames([weather()]).signatures]
    assert names.signatures.shadowed == ("weather",)


async def test_a_snippet_that_does_not_run_takes_no_names(house):
    names = SessionNames([weather()])
    denial = Verdict(Decision.DENY, binds=("weather",))
    snippet = dataclasses.replace(house.flight().snippet, names=names)
    await house.pipeline(denial).run(fly(snippet), Box(house.directory), house.events.append)
    assert names.signatures.shadowed == ()


async def test_a_text_that_was_denied_on_its_way_is_not_screened_again(house):
    denial = Verdict(Decision.DENY, (Finding("screen-failed", "SBX901", "error", "m"),))
    snippet = dataclasses.replace(house.flight().snippet, denial=denial)
    pipeline = house.pipeline()
    result = await pipeline.run(fly(snippet), Box(house.directory), house.events.append)
    assert (result.outcome, pipeline._router.signatures) == (Outcome.DENIED, [])
    assert house.events[0] is denial
    assert house.outcomes()[0][0] == "denied"


async def test_only_a_denial_is_taken_on_trust(house):
    pipeline = house.pipeline(Verdict(Decision.DENY))
    snippet = dataclasses.replace(house.flight().snippet, denial=ALLOW)
    result = await pipeline.run(fly(snippet), Box(house.directory), house.events.append)
    assert (result.outcome, len(pipeline._router.signatures)) == (Outcome.DENIED, 1)
