"""At most once, whatever breaks: each fault ends in a result or in the failure class that is true."""

from __future__ import annotations

import threading
import time

import pytest
from fake_daemon import CUT, END, LOSE, FakeDaemon, info, result, stderr, stdout
from sandboxd_client import InDoubtError, NotStartedError, Outcome, Sandbox, SessionLostError
from sandboxd_proto.v1 import sandbox_pb2 as pb


def test_an_execution_is_gathered(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    seen: list[tuple[str, object]] = []
    image = pb.Display(data={"image/png": pb.MimeData(raw=b"\x89PNG"), "text/plain": pb.MimeData(text="<Figure>")})
    verdict = pb.SessionEvent(verdict=pb.Verdict(decision=pb.DECISION_ALLOW))
    script = [verdict, stdout(b"a"), stderr(b"!"), pb.SessionEvent(display=image), stdout(b"b"), result(text="2")]
    daemon.scripts.put(script)

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


def test_a_cut_stream_is_attached_again_and_nothing_runs_twice(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([stdout(b"one "), CUT, stdout(b"two "), 0.2, stdout(b"three"), result(text="7")])

    execution = sandbox.run_code("x", execution_id="cut-in-flight")

    assert execution.stdout == "one two three"
    assert execution.text == "7"
    assert daemon.started == {"cut-in-flight": 1}
    assert daemon.requests.count("execute") == 1


def test_a_stream_cut_three_times_still_gives_the_whole_output(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([stdout(b"1"), CUT, 0.1, stdout(b"2"), result()])
    daemon.refuse_attach = [info("SESSION_BUSY", "NOT_STARTED"), info("DRAINING", "NOT_STARTED")]

    assert sandbox.run_code("x").stdout == "12"


def test_a_result_that_is_sent_while_detached_is_not_lost(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([CUT, stdout(b"late"), result(text="1")])

    assert sandbox.run_code("x").stdout == "late"


def test_code_that_never_arrived_was_not_started(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([LOSE])

    with pytest.raises(NotStartedError, match="EXECUTION_NOT_FOUND"):
        sandbox.run_code("x", execution_id="never-arrived")

    assert daemon.started["never-arrived"] == 0


def test_only_an_idempotent_call_is_sent_again_and_once(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([LOSE])
    daemon.scripts.put([result(text="2")])
    assert sandbox.run_code("x", execution_id="sent-again", idempotent=True).text == "2"
    assert daemon.started == {"sent-again": 1}

    daemon.scripts.put([LOSE])
    daemon.scripts.put([LOSE])
    with pytest.raises(NotStartedError):
        sandbox.run_code("x", idempotent=True)


def test_silence_past_the_bound_is_in_doubt_and_interrupts(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([stdout(b"x")])
    began = time.monotonic()

    with pytest.raises(InDoubtError) as caught:
        sandbox.run_code("x", timeout=0.2, execution_id="goes-silent")

    assert caught.value.execution_id == "goes-silent"
    assert daemon.interrupted.is_set()
    # deadline + grace + 50 ms + margin, then a second for the interrupt and one question
    assert 2.3 <= time.monotonic() - began < 6.5
    assert daemon.requests.count("ask") == 1


def test_a_daemon_that_does_not_even_answer_the_question_holds_nobody(
    daemon: FakeDaemon, sandbox: Sandbox
) -> None:
    daemon.scripts.put([0.1])
    daemon.silent_ask = True
    began = time.monotonic()

    with pytest.raises(InDoubtError):
        sandbox.run_code("x", timeout=0.1)

    assert time.monotonic() - began < 8


def test_an_interrupted_latecomer_is_still_a_result(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([daemon.interrupted, result(outcome=pb.OUTCOME_CANCELLED)])

    assert sandbox.run_code("x", timeout=0.1).outcome is Outcome.CANCELLED


def test_a_lost_result_is_taken_from_the_record(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([stdout(b"seen "), 0.1, stdout(b"unseen"), result(text="5")])
    original = daemon._run

    def lossy(script: list[object], execution_id: str, request_id: int, outbox: object) -> None:
        class Lossy:
            def put(self, item: pb.SessionEvent) -> None:
                if item.stdout.data == b"seen ":
                    outbox.put(item)  # type: ignore[attr-defined]

        original(script, execution_id, request_id, Lossy())

    daemon._run = lossy  # type: ignore[method-assign,assignment]
    execution = sandbox.run_code("x", timeout=0.2)

    assert (execution.stdout, execution.text) == ("seen unseen", "5")


def test_another_incarnation_says_that_the_session_is_lost(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([stdout(b"x"), CUT])
    daemon.incarnation = "two"

    with pytest.raises(SessionLostError) as caught:
        sandbox.run_code("x")

    assert caught.value.code == "SESSION_LOST"
    assert caught.value.execution is None


def test_a_lost_session_tells_what_the_log_knows(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.incarnation = "two"
    failed = result(outcome=pb.OUTCOME_INFRASTRUCTURE, evidence=pb.OutcomeEvidence(code="DAEMON_RESTARTED"))
    silent = pb.SessionEvent()
    silent.CopyFrom(failed)
    original = daemon._run

    def restarted(script: list[object], execution_id: str, request_id: int, outbox: object) -> None:
        class Nowhere:
            def put(self, item: object) -> None: ...

        original([silent], execution_id, request_id, Nowhere())
        outbox.put(CUT)  # type: ignore[attr-defined]

    daemon._run = restarted  # type: ignore[method-assign,assignment]
    daemon.scripts.put([CUT])

    with pytest.raises(SessionLostError) as caught:
        sandbox.run_code("x")

    assert caught.value.execution is not None
    assert caught.value.execution.outcome is Outcome.INFRASTRUCTURE
    assert caught.value.execution.evidence.code == "DAEMON_RESTARTED"


def test_a_daemon_that_is_gone_took_the_session_with_it(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([stdout(b"x"), 5.0])
    threading.Timer(0.2, daemon.stop).start()

    with pytest.raises(SessionLostError, match="DAEMON_ENDED"):
        sandbox.run_code("x", timeout=0.4)


def test_an_idle_session_is_attached_again_before_the_next_code(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([result(text="1"), END])
    sandbox.run_code("x")
    time.sleep(0.2)
    daemon.scripts.put([result(text="2")])

    assert sandbox.run_code("y").text == "2"
    assert daemon.requests.count("attach") == 1


def test_an_idle_session_that_is_gone_is_lost_not_just_not_started(
    daemon: FakeDaemon, sandbox: Sandbox
) -> None:
    daemon.scripts.put([result(), END])
    sandbox.run_code("x")
    time.sleep(0.2)
    daemon.incarnation = "two"

    with pytest.raises(SessionLostError):
        sandbox.run_code("y")


def test_a_refusal_means_nothing_ran(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    refused = pb.Refused(error=info("INVALID_REQUEST", limit="wall"), retry_after_seconds=1.5)
    daemon.scripts.put([pb.SessionEvent(refused=refused)])

    with pytest.raises(NotStartedError) as caught:
        sandbox.run_code("x")

    assert (caught.value.code, caught.value.remedy) == ("INVALID_REQUEST", "do something")
    assert caught.value.metadata == {"limit": "wall"}
    assert caught.value.retry_after_seconds == 1.5
    daemon.scripts.put([result()])
    assert sandbox.run_code("x").ok


def test_a_closed_session_is_lost(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([stdout(b"x"), pb.SessionEvent(closed=pb.Closed(reason="killed by an operator"))])

    with pytest.raises(SessionLostError, match="killed by an operator"):
        sandbox.run_code("x")


def test_a_second_execution_meanwhile_is_busy(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    go = threading.Event()
    daemon.scripts.put([stdout(b"x"), go, result()])
    errors: list[NotStartedError] = []

    def second(_: str) -> None:
        with pytest.raises(NotStartedError) as caught:
            sandbox.run_code("y")
        errors.append(caught.value)
        go.set()

    assert sandbox.run_code("x", on_stdout=second).ok
    assert errors[0].code == "SESSION_BUSY"


def test_an_exception_from_a_callback_interrupts_first(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    daemon.scripts.put([stdout(b"x"), daemon.interrupted, result(outcome=pb.OUTCOME_CANCELLED)])

    def explode(_: str) -> None:
        raise TimeoutError("of the caller's own")

    with pytest.raises(TimeoutError, match="of the caller's own"):
        sandbox.run_code("x", on_stdout=explode)

    assert daemon.interrupted.is_set()
    daemon.scripts.put([result(text="free again")])
    assert sandbox.run_code("y").text == "free again"


def test_events_of_an_abandoned_execution_do_not_reach_the_next(daemon: FakeDaemon, sandbox: Sandbox) -> None:
    stale = pb.SessionEvent(execution_id="someone-else", stdout=pb.Output(data=b"stale"))
    daemon.scripts.put([result()])
    sandbox.run_code("x")
    original = daemon._on_execute

    def polluted(request: pb.SessionRequest, outbox: object) -> None:
        outbox.put(stale)  # type: ignore[attr-defined]
        original(request, outbox)

    daemon._on_execute = polluted  # type: ignore[method-assign]
    daemon.scripts.put([stdout(b"mine"), result()])
    assert sandbox.run_code("y").stdout == "mine"
