"""The parts of the benchmark that a short run does not show: reports, peers that are not there, hops that were renamed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as main
from tests.bench import hops, report
from tests.bench.measure import Series, interleave, ratio, single
from tests.bench.peers import kinds, run
from tests.bench.peers.table import PeerRow
from tests.bench.peers.work import LOOP, ONE_SHOT, PANDAS, WARM
from tests.bench.profile import Call, Stamp, make_tree, timeline
from tests.bench.rows import Row, at_least, at_most, faster

ROW = Row("a thing", "another", Series(((0.002, 0.002), (0.004, 0.004))), Series(((0.001,), (0.001,))))
PEERS = [
    PeerRow("ours", "all", {WARM: single(0.001), ONE_SHOT: single(0.01), PANDAS: "none", LOOP: single(1.0)}),
    PeerRow("other", "none", {WARM: single(0.002), ONE_SHOT: single(0.005), PANDAS: "no", LOOP: single(9.0)}),
    PeerRow("gone", "?", kinds.absent("gone", "?", "did not install").operations),  # type: ignore[arg-type]
]


def test_rounds_alternate_and_warm_ups_do_not_count() -> None:
    calls: list[str] = []

    def operation(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    first, second = interleave(
        [lambda: operation("a"), lambda: operation("b")], rounds=2, each=[2, 1], warm_up=1
    )
    assert "".join(calls) == "ab" + "aab" + "aab"
    assert first.rounds == ((3.0, 4.0), (6.0, 7.0))
    assert second.rounds == ((5.0,), (8.0,))


def test_a_ratio_tells_its_noise() -> None:
    found = ratio(ROW.ours, ROW.against)
    assert (found.middle, found.low, found.high) == pytest.approx((3.0, 2.5, 3.5))


@pytest.mark.parametrize(
    ("target", "met"), [(at_most(3.1), True), (at_most(2), False), (faster(2), False), (at_least(3), True)]
)
def test_a_target_is_met_or_missed(target, met) -> None:
    row = Row(ROW.what, ROW.baseline, ROW.ours, ROW.against, target=target)
    assert row.met is met
    assert report.cells(row)[-1] == ("met" if met else "MISSED")


def test_a_section_that_breaks_is_a_row_and_an_exit_code(monkeypatch, capsys) -> None:
    def broken(_):
        yield ROW
        raise OSError("no such thing")

    monkeypatch.setattr(main, "SECTIONS", {"warm": broken})
    monkeypatch.setattr("sys.argv", ["bench", "--quick"])
    assert main.main() == 1
    shown = capsys.readouterr().out
    assert "a thing" in shown
    assert "FAILED" in shown
    assert "no such thing" in shown


def test_the_results_name_machine_and_command_and_every_line_has_its_columns() -> None:
    text = report.markdown({"cores": "2"}, 0.5, [ROW], PEERS)
    assert "| cores | 2 |" in text
    assert "make bench ARGS=" in text
    assert "not to be trusted" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {3, 9, 7}
    assert any("| other | 2 ms (2 x) | 5 ms (0.5 x) | no | 9.00 |" in line for line in tables), tables


def test_a_peer_that_is_not_there_is_a_row_with_the_reason() -> None:
    shown = report.text_peers(PEERS)
    assert "gone" in shown
    assert "did not install" in shown
    assert shown.count("did not install") == 1


def test_a_peer_that_fails_is_a_cell_and_the_others_are_measured() -> None:
    def breaks() -> float:
        raise OSError("it broke")

    peers = [kinds.Peer("good", "", {WARM: lambda: 0.1}), kinds.Peer("bad", "", {WARM: breaks})]
    cells = run._alternate(peers, WARM, 2)
    assert cells == {"good": Series(((0.1, 0.1), (0.1, 0.1))), "bad": "fails: it broke"}


def test_a_library_that_does_not_import_says_why() -> None:
    options = {"site": None, "python": "", "paths": [], "bwrap": ""}
    with kinds.library("Monty", "its own", sys.executable, "monty", options) as peer:
        assert set(peer.operations.values()) == {"ModuleNotFoundError: No module named 'pydantic_monty'"}


@pytest.mark.parametrize("point", [*hops.SENDERS, *hops.RECEIVERS.values()])
def test_what_carries_the_profile_s_stamps_exists(point) -> None:
    assert callable(hops.find(point)[2])


def test_most_of_the_profile_s_hops_exist() -> None:
    gone = [point for process in hops.POINTS for point in hops.missing(process)]
    assert len(gone) < sum(map(len, hops.POINTS.values())) / 4, (
        f"tests/bench/hops.py: renamed or gone: {gone}"
    )


def test_the_profile_s_copy_can_be_made(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    assert "hops.install" in (tree / "sandboxd/server/main.py").read_text()


def test_a_timeline_has_what_most_calls_have() -> None:
    calls = [Call(0, 10_000_000), Call(100_000_000, 110_000_000), Call(200_000_000, 210_000_000)]
    stamps = [Stamp("front", "often", call.started + 2_000_000, call.started + 5_000_000) for call in calls]
    stamps += [Stamp("guest", "late", call.started + 12_000_000, call.started + 13_000_000) for call in calls]
    stamps.append(Stamp("front", "once", 1, 2))
    shown = "\n".join(timeline("a call", calls, stamps, {"front", "guest"}, after_seconds=0.01))
    assert "once" not in shown
    assert shown.index("often") < shown.index("has its answer") < shown.index("late")
    assert "     2,000     3,000  front     often" in shown
