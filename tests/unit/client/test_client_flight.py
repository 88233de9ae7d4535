"""At most once, whatever breaks: each fault ends in a result or in the failure class that is true."""

from __future__ import annotations

import threading
import time

import pytest
from fake_daemon import CUT, END, LOSE, FakeDaemon, info, result, stderr, stdout
from sandboxd_client import InDoubtError, NotStartedError, Outcome, Sandbox, SessionLostError
from sandboxd_client._sync.running import bound_seconds
from sandboxd_proto.v1 import sandbox_pb2 as pb


def test_an_execution_is_gathered(fake: FakeDaemon, sandbox: Sandbox) -> None:
    seen: list[tuple[str, object]] = []
    image = pb.Display(
        data={"image/png": pb.MimeData(raw=b"\x89PNG"), "text/plain": pb.MimeData(text="<Figure>")}
    )
    verdict = pb.SessionEvent(verdict=pb.Verdict(decision=pb.DECISION_ALLOW))
    script = [
        verdict,
        stdout(b"a"),
        stderr(b"!"),
        pb.SessionEvent(display=image),
        stdout(b"b"),
        result(text="2"),
    ]
    fake.scripts.put(script)

    execution = sandbox.run_code(
        "1+1",
        on_stdout=lambda text: seen.append(("out", text)),
        on_stderr=lambda text: seen.append(("err", text)),
        on_result=lambda value: seen.append(("res", value.png)),
    )

    assert (execution.text, execution.outcome, execution.ok) == ("2", Outcome.OK, True)
    assert (execution.logs.stdout, execution.logs.stderr) == (["a", "b"], ["!"])
    assert execution.results[0].png == b"\x89PNG"
    assert execution.verdict is not None
    assert execution.verdict.allowed
    assert seen == [("out", "a"), ("err", "!"), ("res", b"\x89PNG"), ("out", "b")]


def test_a_cut_stream_is_attached_again_and_nothing_runs_twice(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([stdout(b"one "), CUT, stdout(b"two "), 0.2, stdout(b"three"), result(text="7")])

    execution = sandbox.run_code("x", execution_id="cut-in-flight")

    assert execution.stdout == "one two three"
    assert execution.text == "7"
    assert fake.started == {"cut-in-flight": 1}
    assert fake.requests.count("execute") == 1


def test_a_stream_cut_three_times_still_gives_the_whole_output(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([stdout(b"1"), CUT, 0.1, stdout(b"2"), result()])
    fake.refuse_attach = [info("SESSION_BUSY", "NOT_STARTED"), info("DRAINING", "NOT_STARTED")]

    assert sandbox.run_code("x").stdout == "12"


def test_a_result_that_is_sent_while_detached_is_not_lost(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([CUT, stdout(b"late"), result(text="1")])

    assert sandbox.run_code("x").stdout == "late"


def test_code_that_never_arrived_was_not_started(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([LOSE])

    with pytest.raises(NotStartedError, match="EXECUTION_NOT_FOUND"):
        sandbox.run_code("x", execution_id="never-arrived")

    assert fake.started["never-arrived"] == 0


def test_only_an_idempotent_call_is_sent_again_and_once(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([LOSE])
    fake.scripts.put([result(text="2")])
    assert sandbox.run_code("x", execution_id="sent-again", idempotent=True).text == "2"
    assert fake.started == {"sent-again": 1}

    fake.scripts.put([LOSE])
    fake.scripts.put([LOSE])
    with pytest.raises(NotStartedError):
        sandbox.run_code("x", idempotent=True)


def test_silence_past_the_bound_is_in_doubt_and_interrupts(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([stdout(b"x")])
    began = time.monotonic()

    with pytest.raises(InDoubtError) as caught:
        sandbox.run_code("x", timeout=0.2, execution_id="goes-silent")

    assert caught.value.execution_id == "goes-silent"
    assert fake.interrupted.is_set()
    assert 0.5 <= time.monotonic() - began < 2.5
    assert fake.requests.count("ask") == 1


def test_a_daemon_that_does_not_even_answer_the_question_holds_nobody(
    fake: FakeDaemon, sandbox: Sandbox
) -> None:
    fake.scripts.put([0.1])
    fake.silent_ask = True
    began = time.monotonic()

    with pytest.raises(InDoubtError):
        sandbox.run_code("x", timeout=0.1)

    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("timeout", "wall", "bound"), [(None, 30, 31.75 + 2), (0, 30, 33.75), (1, 30, 1.3 + 2), (0.1, 0, 0.4 + 2)]
)
def test_the_bound_is_deadline_grace_tolerance_and_margin(
    timeout: float | None, wall: float, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandboxd_client._sync.running.MARGIN_SECONDS", 2.0)
    opened = pb.Opened(limits=pb.Limits(wall_seconds=wall), grace_seconds=0.25)
    assert bound_seconds(opened, timeout) == pytest.approx(bound)


def test_an_interrupted_latecomer_is_still_a_result(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([fake.interrupted, result(outcome=pb.OUTCOME_CANCELLED)])

    assert sandbox.run_code("x", timeout=0.1).outcome is Outcome.CANCELLED


def test_a_lost_result_is_taken_from_the_record(fake: FakeDaemon, sandbox: Sandbox) -> None:
    unseen = [stdout(b"unseen"), result(text="5")]
    fake.withheld = unseen
    fake.scripts.put([stdout(b"seen "), *unseen])

    execution = sandbox.run_code("x", timeout=0.2)

    assert (execution.stdout, execution.text) == ("seen unseen", "5")


def test_another_incarnation_says_that_the_session_is_lost(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([stdout(b"x"), CUT])
    fake.incarnation = "two"

    with pytest.raises(SessionLostError) as caught:
        sandbox.run_code("x")

    assert caught.value.code == "SESSION_LOST"
    assert caught.value.execution is None


def test_a_lost_session_tells_what_the_log_knows(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.incarnation = "two"
    failed = result(outcome=pb.OUTCOME_INFRASTRUCTURE, evidence=pb.OutcomeEvidence(code="DAEMON_RESTARTED"))
    fake.withheld = [failed]
    fake.scripts.put([failed, CUT])

    with pytest.raises(SessionLostError) as caught:
        sandbox.run_code("x")

    assert caught.value.execution is not None
    assert caught.value.execution.outcome is Outcome.INFRASTRUCTURE
    assert caught.value.execution.evidence.code == "DAEMON_RESTARTED"


def test_a_daemon_that_is_gone_took_the_session_with_it(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([stdout(b"x"), 5.0])
    threading.Timer(0.2, fake.stop).start()

    with pytest.raises(SessionLostError, match="DAEMON_ENDED"):
        sandbox.run_code("x", timeout=0.4)


def test_an_idle_session_is_attached_again_before_the_next_code(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([result(text="1"), END])
    sandbox.run_code("x")
    time.sleep(0.2)
    fake.scripts.put([result(text="2")])

    assert sandbox.run_code("y").text == "2"
    assert fake.requests.count("attach") == 1


def test_an_idle_session_that_is_gone_is_lost_not_just_not_started(
    fake: FakeDaemon, sandbox: Sandbox
) -> None:
    fake.scripts.put([result(), END])
    sandbox.run_code("x")
    time.sleep(0.2)
    fake.incarnation = "two"

    with pytest.raises(SessionLostError):
        sandbox.run_code("y")


def test_a_refusal_means_nothing_ran(fake: FakeDaemon, sandbox: Sandbox) -> None:
    refused = pb.Refused(error=info("INVALID_REQUEST", limit="wall"), retry_after_seconds=1.5)
    fake.scripts.put([pb.SessionEvent(refused=refused)])

    with pytest.raises(NotStartedError) as caught:
        sandbox.run_code("x")

    assert (caught.value.code, caught.value.remedy) == ("INVALID_REQUEST", "do something")
    assert caught.value.metadata == {"limit": "wall"}
    assert caught.value.retry_after_seconds == 1.5
    fake.scripts.put([result()])
    assert sandbox.run_code("x").ok


def test_a_closed_session_is_lost(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([stdout(b"x"), pb.SessionEvent(closed=pb.Closed(reason="killed by an operator"))])

    with pytest.raises(SessionLostError, match="killed by an operator"):
        sandbox.run_code("x")


def test_a_second_execution_meanwhile_is_busy(fake: FakeDaemon, sandbox: Sandbox) -> None:
    go = threading.Event()
    fake.scripts.put([stdout(b"x"), go, result()])
    errors: list[NotStartedError] = []

    def second(_: str) -> None:
        with pytest.raises(NotStartedError) as caught:
            sandbox.run_code("y")
        errors.append(caught.value)
        go.set()

    assert sandbox.run_code("x", on_stdout=second).ok
    assert errors[0].code == "SESSION_BUSY"


def test_an_exception_from_a_callback_interrupts_first(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.scripts.put([stdout(b"x"), fake.interrupted, result(outcome=pb.OUTCOME_CANCELLED)])

    def explode(_: str) -> None:
        raise TimeoutError("of the caller's own")

    with pytest.raises(TimeoutError, match="of the caller's own"):
        sandbox.run_code("x", on_stdout=explode)

    assert fake.interrupted.is_set()
    fake.scripts.put([result(text="free again")])
    assert sandbox.run_code("y").text == "free again"


def test_events_of_an_abandoned_execution_do_not_reach_the_next(fake: FakeDaemon, sandbox: Sandbox) -> None:
    stale = pb.SessionEvent(execution_id="someone-else", stdout=pb.Output(data=b"stale"))
    fake.scripts.put([result()])
    sandbox.run_code("x")
    original = fake._on_execute

    def polluted(request: pb.SessionRequest, outbox: object) -> None:
        outbox.put(stale)  # type: ignore[attr-defined]
        original(request, outbox)

    fake._on_execute = polluted  # type: ignore[method-assign]
    fake.scripts.put([stdout(b"mine"), result()])
    assert sandbox.run_code("y").stdout == "mine"
