"""Events to values: text across cuts, markers for what was left out, claims that lie."""

from __future__ import annotations

import pytest
from fake_daemon import result, stdout
from sandboxd_client import Decision, FinalAnswer, Outcome, Result, Verdict, _decode
from sandboxd_client._gather import Gatherer
from sandboxd_client.results import Usage
from sandboxd_proto.v1 import sandbox_pb2 as pb


def gather(*events: pb.SessionEvent, **fields: object) -> tuple[str, list[str]]:
    gatherer = Gatherer("id")
    told = [value.text for event in events for value in gatherer.add(event)]
    execution, rest = gatherer.finish(result(**fields).result)
    return execution.stdout, told + [event.text for event in rest]


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_character_cut_by_the_wire_is_whole_again(cut: int) -> None:
    data = "aé€😀".encode()
    text, told = gather(stdout(data[:cut]), stdout(data[cut:]))
    assert text == "aé€😀" == "".join(told)


def test_bytes_that_are_no_text_are_replaced_not_refused() -> None:
    assert gather(stdout(b"\xff\xfeok\xc3"))[0] == "\ufffd\ufffdok\ufffd"


def test_left_out_bytes_are_marked_where_they_were() -> None:
    text, told = gather(stdout(b"head\xe2\x82"), stdout(b"tail", 1000))
    assert text == "head\ufffd\n[sandboxd: 1000 bytes of output left out]\ntail" == "".join(told)


def test_left_out_bytes_at_the_end_are_marked_once() -> None:
    text, _ = gather(stdout(b"head"), stdout(b"mid", 10), stdout_dropped_bytes=25)
    assert (
        text
        == "head\n[sandboxd: 10 bytes of output left out]\nmid\n[sandboxd: 15 bytes of output left out]\n"
    )
    assert gather(stdout(b"x", 10), stdout_dropped_bytes=10)[0].count("left out") == 1


def test_what_was_not_measured_is_none() -> None:
    assert _decode.usage(pb.Usage()) == Usage()
    measured = _decode.usage(pb.Usage(cpu_seconds=0.0, pids_peak=3, sources={"pids_peak": "cgroup"}))
    assert (measured.cpu_seconds, measured.pids_peak, measured.wall_seconds) == (0.0, 3, None)
    assert measured.sources == {"pids_peak": "cgroup"}


def test_every_outcome_and_decision_of_the_wire_has_a_name() -> None:
    for number, value in pb.Outcome.DESCRIPTOR.values_by_number.items():
        assert _decode.outcome(number) == (
            value.name.removeprefix("OUTCOME_").lower() if number else "unknown"
        )
    for number, value in pb.Decision.DESCRIPTOR.values_by_number.items():
        assert _decode.decision(number) == (
            value.name.removeprefix("DECISION_").lower() if number else "unknown"
        )


def test_an_outcome_of_a_newer_daemon_is_unknown_and_not_ok() -> None:
    message = pb.Result.FromString(b"\x08\x63")  # outcome 99
    execution, _ = Gatherer("id").finish(message)
    assert execution.outcome is Outcome.UNKNOWN
    assert not execution.ok
    assert not Verdict(decision=_decode.decision(99)).allowed
    assert not Verdict(decision=Decision.DENY).allowed


def test_what_is_routed_is_not_allowed_here_and_has_where_to_go() -> None:
    routed = Verdict(decision=Decision.ROUTE, route_to="data-science")
    assert (routed.allowed, routed.routable) == (False, True)
    assert not Verdict(decision=Decision.ROUTE).routable, "a daemon that names nobody"
    assert not Verdict(decision=Decision.DENY, route_to="data-science").routable
    assert all(Verdict(decision=one).allowed for one in (Decision.ALLOW, Decision.WARN))


def test_the_verdict_that_moved_a_one_shot_stands_beside_the_one_it_ran_under() -> None:
    gatherer = Gatherer("id", pb.Verdict(decision=pb.DECISION_ROUTE, policy="pure", route_to="default"))
    gatherer.add(pb.SessionEvent(verdict=pb.Verdict(decision=pb.DECISION_ALLOW, policy="default")))
    execution, _ = gatherer.finish(pb.Result(outcome=pb.OUTCOME_OK))
    assert execution.routing is not None
    assert execution.verdict is not None
    assert (execution.routing.policy, execution.verdict.policy) == ("pure", "default")
    assert Gatherer("id").finish(pb.Result())[0].routing is None


def test_a_policy_s_axes_and_routes_are_read() -> None:
    told = _decode.policy_info(pb.GetPolicyResponse(restricted=True, executor="process", route_to=["a", "b"]))
    assert (told.restricted, told.executor, told.route_to) == (True, "process", ("a", "b"))


def test_text_is_none_unless_there_was_a_value() -> None:
    assert Gatherer("id").finish(pb.Result())[0].text is None
    assert Gatherer("id").finish(pb.Result(text=""))[0].text == ""


def test_a_result_gives_its_formats() -> None:
    shown = Result(
        {"text/plain": "t", "text/html": "<b>", "image/png": b"\x89", "application/json": '{"a": [1]}'}
    )
    assert (shown.text, shown.html, shown.png, shown.json) == ("t", "<b>", b"\x89", {"a": [1]})
    assert (shown.svg, shown.jpeg, shown.latex, shown.markdown) == (None, None, None, None)
    assert shown.formats() == ("text/plain", "text/html", "image/png", "application/json")


def test_a_notebook_gets_markup_in_a_frame_that_runs_and_loads_nothing() -> None:
    markup = '"><script>alert(1)</script><img src=https://elsewhere.example/x onerror=alert(1)></iframe>'
    for mime in ("text/html", "image/svg+xml"):
        shown = Result({mime: markup, "text/plain": "a\x1b[2Jb"})._repr_mimebundle_()
        assert set(shown) == {"text/plain", "text/html"}
        assert shown["text/plain"] == "a\ufffd[2Jb"
        frame = str(shown["text/html"])
        assert frame.startswith('<iframe sandbox="" ')
        assert frame.count("<") == 2, "the markup got out of the attribute"
        assert "default-src &#x27;none&#x27;" in frame
    assert [name for name in dir(Result) if name.startswith("_repr_") or name == "_ipython_display_"] == [
        "_repr_mimebundle_"
    ]


def test_a_notebook_gets_pictures_that_are_ones() -> None:
    png, jpeg = b"\x89PNG\r\n\x1a\n...", b"\xff\xd8\xff..."
    shown = Result({"image/png": png, "image/jpeg": jpeg})._repr_mimebundle_()
    assert (shown["image/png"], shown["image/jpeg"]) == (png, jpeg)
    lying = Result({"image/png": b"<svg>", "image/jpeg": "text", "application/javascript": "alert(1)"})
    assert set(lying._repr_mimebundle_()) == {"text/plain"}


def test_a_table_that_lies_is_none() -> None:
    mime = "application/vnd.sandboxd.table+json"
    assert Result({mime: '{"columns": ["a"]}'}).table == {"columns": ["a"]}
    assert [Result({mime: text}).table for text in ("[1]", "{", "7")] == [None] * 3
    assert Result({"application/pdf": b"%PDF"}).pdf == b"%PDF"


@pytest.mark.parametrize("claim", ["[" * 100_000, "1" * 10_000, "{", "nope", "\ud800"])
def test_json_that_lies_is_none(claim: str) -> None:
    assert Result({"application/json": claim}).json is None
    assert FinalAnswer(json=claim, text="t").value is None


def test_types_that_lie_are_absent_or_replaced() -> None:
    lying = Result({"image/png": "text", "text/html": b"\xff"})
    assert (lying.png, lying.html) == (None, "\ufffd")


def test_a_final_answer_is_plain_data_or_its_repr() -> None:
    assert FinalAnswer(json='{"a": 1}', text="{'a': 1}").value == {"a": 1}
    assert FinalAnswer(json="", text="<object>").value == "<object>"
    assert FinalAnswer(json="null", text="None").value is None
