"""Fork, checkpoint and rollback when the connection fails: what may be asked twice is, what may not is in doubt."""

from __future__ import annotations

import pytest
from fake_daemon import CUT, FakeDaemon, info, result
from sandboxd_client import InDoubtError, NotStartedError, RefusedError, Sandbox, SessionLostError
from sandboxd_proto.v1 import sandbox_pb2 as pb


def checkpointed(*names: str) -> pb.SessionEvent:
    points = [pb.CheckpointInfo(name=name, created_at_seconds=number) for number, name in enumerate(names)]
    return pb.SessionEvent(checkpointed=pb.Checkpointed(checkpoints=points))


def refused(code: str, failure: str = "") -> pb.SessionEvent:
    return pb.SessionEvent(refused=pb.Refused(error=info(code, failure)))


def test_a_checkpoint_whose_answer_was_lost_is_asked_for_again(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.answers.put(CUT)
    fake.answers.put(checkpointed("a"))
    assert sandbox.checkpoint("a").name == "a"
    assert fake.requests == ["open", "checkpoint", "attach", "checkpoint"]
    assert [one.name for one in sandbox.checkpoints] == ["a"]


def test_the_first_one_may_still_be_under_way_when_it_is_asked_for_again(
    fake: FakeDaemon, sandbox: Sandbox
) -> None:
    fake.answers.put(CUT)
    fake.answers.put(refused("SESSION_BUSY", "NOT_STARTED"))
    fake.answers.put(pb.SessionEvent(rolled_back=pb.RolledBack(name="a")))
    sandbox.rollback("a")
    assert fake.requests.count("rollback") == 3


def test_a_session_that_is_busy_with_something_else_is_told_at_once(
    fake: FakeDaemon, sandbox: Sandbox
) -> None:
    fake.answers.put(refused("SESSION_BUSY", "NOT_STARTED"))
    with pytest.raises(NotStartedError):
        sandbox.rollback("a")
    assert fake.requests.count("rollback") == 1


def test_a_fork_is_never_asked_for_twice(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.answers.put(CUT)
    with pytest.raises(InDoubtError) as caught:
        sandbox.fork(3)
    assert "leases" in caught.value.remedy
    assert fake.requests.count("fork") == 1
    fake.scripts.put([result(text="2")])
    assert sandbox.run_code("1+1").text == "2", "the session is attached to again"


def test_a_daemon_that_stays_silent_leaves_it_in_doubt(fake: FakeDaemon) -> None:
    with Sandbox(address=fake.address, request_timeout=0.2) as sandbox:
        with pytest.raises(InDoubtError):
            sandbox.renew()
        fake.answers.put(
            pb.SessionEvent(renewed=pb.Renewed(expires_at_seconds=1))
        )  # for the first, which is over
        fake.answers.put(pb.SessionEvent(renewed=pb.Renewed(expires_at_seconds=2)))
        assert sandbox.renew() == 2, "a late answer is not taken for another's"


@pytest.mark.parametrize(
    ("code", "kind"),
    [("FORK_REFUSED", RefusedError), ("FORK_LIMIT", RefusedError), ("SESSION_LOST", SessionLostError)],
)
def test_a_refusal_is_of_the_class_that_its_code_has(
    fake: FakeDaemon, sandbox: Sandbox, code: str, kind: type[Exception]
) -> None:
    fake.answers.put(refused(code))
    with pytest.raises(kind):
        sandbox.fork()


def test_a_session_that_ends_meanwhile_says_why(fake: FakeDaemon, sandbox: Sandbox) -> None:
    fake.answers.put(pb.SessionEvent(closed=pb.Closed(reason="its lifetime ended")))
    with pytest.raises(SessionLostError, match="its lifetime ended"):
        sandbox.checkpoint("a")


def test_clones_share_the_connection_and_outlive_the_original_s_end(
    fake: FakeDaemon, sandbox: Sandbox
) -> None:
    opened = [pb.Opened(session_id=f"secret-session-one-{n}", display_id=f"s-{n}") for n in range(3)]
    fake.answers.put(pb.SessionEvent(forked=pb.Forked(clones=opened)))
    clones = sandbox.fork(3)
    assert fake.requests == ["open", "fork", "attach", "attach", "attach"]
    sandbox.close()
    fake.scripts.put([result(text="5")])
    assert clones[0].run_code("5").text == "5"
    for clone in clones:
        clone.close()
    with pytest.raises(NotStartedError):
        clones[0].run_code("5")


def test_clones_that_cannot_be_attached_to_are_no_half_result(fake: FakeDaemon, sandbox: Sandbox) -> None:
    opened = [pb.Opened(session_id="secret-session-one-1"), pb.Opened(session_id="elsewhere")]
    fake.answers.put(pb.SessionEvent(forked=pb.Forked(clones=opened)))
    with pytest.raises(SessionLostError):
        sandbox.fork(2)
    assert fake.requests[-1] == "close", "the one that was attached to is closed"
