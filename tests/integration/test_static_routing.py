"""Routing through the real daemon: where a one-shot runs, that a session stays, and that nothing of it weakens."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from mutants import Edit, make_mutant
from sandboxd_client import Decision, Limits, NotStartedError, OneShot, Outcome, Sandbox
from sandboxd_proto.v1 import sandbox_pb2 as pb
from test_corpus_snippets import SNIPPETS, environment, shown
from wire_client import Wire, connected, error_info, kinds, new_id, stdout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemons import Daemon, StartDaemon

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]
needs_packages = pytest.mark.usefixtures(environment.__name__)

NATIVE = {"numpy", "pandas", "sympy", "matplotlib"}
HEAVY = [one for one in SNIPPETS if {name.partition(".")[0] for name in one["needs"]} & NATIVE]
HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"
POLICIES = {
    # The template is computed: `tight` does not run that and routes it, `default` denies it, `lax` runs it.
    "tight": "extends: default\nscreen: {attributes: {format: route}}\nroute: {to: [default, lax]}\n"
    "limits: {wall: 9s, pids: 16}\n",
    "lax": "extends: default\nscreen: {attributes: {format: warn}}\nlimits: {wall: 8s, pids: 32}\n",
    # What would take it needs a tier that this daemon has not.
    "to-container": "extends: default\nscreen: {attributes: {format: route}}\nroute: {to: [container]}\n",
    "container": "extends: lax\nisolate: {executor: runc}\n",
    "circle-a": "extends: default\nscreen: {attributes: {format: route}}\nroute: {to: [circle-b]}\n",
    "circle-b": "extends: default\nscreen: {attributes: {format: route}}\nroute: {to: [circle-a]}\n",
}
ROUTED = {
    "source-too-large": "x = 1\n#" + "-" * 9000,
    "line-too-long": "x = '" + "-" * 1000 + "'",
    "too-many-nodes": "x = [" + "1, " * 900 + "]",
    "too-deeply-nested": "x = " + "[" * 30 + "]" * 30,
    "syntax-not-allowed": "async def f(): pass",
    "import-not-allowed": "import sqlite3",
    "member-not-allowed": "import os\nos.getcwd()",
    "builtin-not-allowed": "sorted([])",
    "string-too-large": "x = '" + "-" * 500 + "'",
    "dynamic-class": "C = type('C', (), {})",
    "bidi-control": "x = '\u202e'",
    "import-star": "from math import *",
    "dynamic-attribute": "n = 'real'\ngetattr(1, n)",
}
KEYS = {"bidi-control", "import-star", "dynamic-attribute"}
# `all-routed` sends every rule above to `all-open`, which has room for it.
_NARROW = """screen:
  imports: {allow: [math, os.sep], star: route}
  builtins: {deny: [sorted]}
  attributes: {dynamic: route}
  text: {bidi: route}
  nodes: {allow: ['@core', '@functions', '@classes']}
  budgets: {source: 8KiB, line: 900B, nodes: 800, depth: 20, string: 400B}
"""
POLICIES["all-routed"] = (
    f"{_NARROW}  actions:\n"
    + "".join(f"    {rule}: route\n" for rule in ROUTED if rule not in KEYS)
    + "restrict: {enabled: false}\nroute: {to: [all-open]}\nlimits: {memory: {enforce: per_process}}\n"
)
POLICIES["all-open"] = (
    "extends: data-science\nisolate: {environment: base}\nscreen:\n  attributes: {dynamic: allow}\n"
    "  text: {bidi: allow}\n  imports: {star: allow}\n  actions: {dynamic-class: allow}\n"
)
for _word in ("deny", "warn", "audit", "allow"):
    POLICIES[f"says-{_word}"] = (
        f"extends: default\nscreen:\n  attributes: {{dynamic: {_word}}}\n  actions: {{dynamic-class: {_word}}}\n"
    )
CODE = "template = '{}' + '!'\nprint(template.format('moved'))"


@pytest.fixture(scope="module")
def policy_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("policies")
    for name, body in POLICIES.items():
        (directory / f"{name}.yaml").write_text(HEAD.format(name=name) + body)
    return directory


@pytest.fixture(scope="module")
def house(start_module_daemon: StartDaemon, policy_dir: Path) -> Daemon:
    return start_module_daemon(
        "--policy-dir", str(policy_dir), "--images-dir", str(policy_dir.with_name("no-images"))
    )


@pytest.fixture
async def wire(house: Daemon) -> AsyncIterator[Wire]:
    async with connected(house.address) as wire:
        yield wire


async def run(
    wire: Wire, code: str = CODE, execution_id: str = "", **request: object
) -> list[pb.SessionEvent]:
    execute = pb.Execute(execution_id=execution_id or new_id(), code=code)
    wish = pb.RunRequest(execute=execute, **request)
    return [event async for message in wire.sandbox.Run(wish) for event in (message, *message.more)]


async def refusal(wire: Wire, **request: object) -> pb.ErrorInfo:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await run(wire, **request)
    return error_info(caught.value)


def logged(daemon: Daemon, execution_id: str) -> list[dict[str, object]]:
    lines = [
        line
        for path in sorted((daemon.state_dir / "log").glob("*"))
        for line in path.read_text().splitlines()
    ]
    return [one for one in map(json.loads, lines) if one.get("execution_id") == execution_id]


async def test_a_one_shot_moves_and_everything_after_the_first_verdict_is_the_target_s(
    wire: Wire, house: Daemon
):
    execution_id = new_id()
    events = await run(wire, execution_id=execution_id, open=pb.Open(policy="tight"))
    assert kinds(events) == ["verdict", "opened", "verdict", "stdout", "result"]
    first, opened, second = events[0].verdict, events[1].opened, events[2].verdict
    assert (first.decision, first.policy, first.route_to) == (pb.DECISION_ROUTE, "tight", "lax")
    assert first.min_tier == "process"
    assert first.findings[0].action == "route"
    assert first.findings[0].hint.endswith("Policy lax takes it.")
    assert events[0].execution_id == execution_id
    assert (opened.policy, opened.limits.wall_seconds, opened.limits.pids) == ("lax", 8.0, 32)
    assert (second.decision, second.policy) == (pb.DECISION_WARN, "lax")
    assert stdout(events) == b"moved!\n"
    assert events[-1].result.outcome == pb.OUTCOME_OK
    # One intent, and it names the policy that ran.
    intents = [one for one in logged(house, execution_id) if one["kind"] == "execution_intent"]
    assert [(one["policy"], one["policy_digest"]) for one in intents] == [("lax", opened.policy_digest)]


async def test_a_session_stays_and_is_told_who_takes_it(wire: Wire):
    stream = await wire.open(policy="tight")
    events = await stream.run("kept = 1\n" + CODE)
    verdict, result = events[0].verdict, events[-1].result
    assert kinds(events) == ["verdict", "result"]
    assert (verdict.decision, verdict.route_to) == (pb.DECISION_ROUTE, "lax")
    assert (result.outcome, result.evidence.code, result.evidence.source) == (
        pb.OUTCOME_DENIED,
        "dynamic-format",
        "screen",
    )
    assert result.evidence.detail.startswith("route to policy lax: ")
    again = await stream.run("print('kept' in dir())")
    assert stdout(again) == b"False\n", "nothing of it ran"


async def test_a_one_shot_may_decline_to_move(wire: Wire):
    events = await run(wire, open=pb.Open(policy="tight"), no_routing=True)
    assert kinds(events) == ["opened", "verdict", "result"]
    assert events[0].opened.policy == "tight"
    assert events[-1].result.outcome == pb.OUTCOME_DENIED


async def test_nobody_takes_what_every_target_refuses(wire: Wire):
    events = await run(wire, code=CODE + "\nimport socket", open=pb.Open(policy="tight"))
    assert kinds(events) == ["opened", "verdict", "result"]
    assert events[0].opened.policy == "tight"
    assert events[1].verdict.decision == pb.DECISION_DENY
    assert not events[1].verdict.route_to
    assert events[-1].result.evidence.code == "import-not-allowed", (
        "the rule that denies, not the one that routes"
    )


async def test_there_is_one_hop(wire: Wire):
    events = await run(wire, open=pb.Open(policy="circle-a"))
    assert kinds(events) == ["opened", "verdict", "result"]
    assert events[1].verdict.decision == pb.DECISION_DENY
    assert events[1].verdict.findings[0].rule == "dynamic-format"


async def test_a_request_stays_as_narrow_as_it_was(wire: Wire):
    limits = pb.Limits(wall_seconds=2, memory_bytes=200 << 20, pids=9)
    events = await run(wire, open=pb.Open(policy="tight", limits=limits, fresh=True))
    opened = events[1].opened
    assert (opened.policy, opened.limits.wall_seconds, opened.limits.memory_bytes, opened.limits.pids) == (
        "lax",
        2.0,
        200 << 20,
        9,
    )
    assert {one.name for one in opened.protections if one.active} >= {"own_address_layout", "own_hash_seed"}


@pytest.mark.parametrize("limits", [{"pids": 20}, {"wall_seconds": 20}])
async def test_moving_is_no_way_around_the_policy_that_was_asked_for(wire: Wire, limits: dict[str, float]):
    """`lax` grants 32 processes; who asked for `tight` gets 16 at most, also when the code would move."""
    info = await refusal(wire, open=pb.Open(policy="tight", limits=pb.Limits(**limits)))
    assert info.reason == "LIMIT_ABOVE_POLICY"
    assert info.metadata["failure_class"] == "NOT_STARTED"


async def test_a_tier_that_is_not_here_refuses_and_nothing_falls_back(wire: Wire, house: Daemon):
    execution_id = new_id()
    info = await refusal(wire, execution_id=execution_id, open=pb.Open(policy="to-container"))
    assert (info.reason, info.metadata["failure_class"]) == ("ENVIRONMENT_NOT_FOUND", "NOT_STARTED")
    assert "image build base" in info.metadata["remedy"]
    assert logged(house, execution_id) == []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire.open(policy="container")
    assert error_info(caught.value).reason == "ENVIRONMENT_NOT_FOUND"


async def test_the_same_id_does_not_run_a_second_time(wire: Wire, house: Daemon):
    execution_id = new_id()
    await run(wire, execution_id=execution_id, open=pb.Open(policy="tight"))
    again = await run(wire, execution_id=execution_id, open=pb.Open(policy="tight"))
    assert again[-1].refused.error.reason == "EXECUTION_ID_REUSED"
    found = [one["kind"] for one in logged(house, execution_id)]
    assert found.count("execution_intent") == 1


async def test_the_target_s_memory_is_what_is_admitted(start_daemon: StartDaemon, policy_dir: Path):
    daemon = start_daemon("--policy-dir", str(policy_dir), "--memory-total", "480MiB")
    async with connected(daemon.address) as wire:
        assert (await run(wire, code="print(1)", open=pb.Open(policy="pure")))[0].opened.policy == "pure"
        execution_id = new_id()
        wish = {"code": CODE, "open": pb.Open(policy="tight"), "execution_id": execution_id}
        info = await refusal(wire, **wish)
        assert (info.reason, info.metadata["failure_class"]) == ("QUOTA_MEMORY", "NOT_STARTED")
        assert logged(daemon, execution_id) == []
        narrow = pb.Open(policy="tight", limits=pb.Limits(memory_bytes=200 << 20))
        assert stdout(await run(wire, open=narrow, execution_id=execution_id)) == b"moved!\n"


async def test_check_names_the_taker_and_the_weakest_tier(wire: Wire):
    async def check(code: str, policy: str) -> pb.Verdict:
        return (await wire.policies.Check(pb.CheckRequest(policy=policy, code=code))).verdict

    routed = await check(CODE, "tight")
    assert (routed.decision, routed.route_to, routed.min_tier) == (pb.DECISION_ROUTE, "lax", "process")
    assert (await check("1", "tight")).min_tier == "process"
    assert (await check("1", "pure")).min_tier == "restricted"
    assert (await check("import socket", "tight")).min_tier == ""


async def test_a_policy_tells_its_axes_and_routes(wire: Wire):
    told = await wire.policies.Get(pb.GetPolicyRequest(policy="pure"))
    assert (told.restricted, told.executor, list(told.route_to)) == (
        True,
        "process",
        ["default", "data-science"],
    )
    assert not (await wire.policies.Get(pb.GetPolicyRequest(policy="default"))).restricted


@pytest.mark.parametrize("rule", ROUTED)
async def test_each_rule_s_own_word_moves_a_one_shot(wire: Wire, rule: str):
    events = await run(wire, code=ROUTED[rule] + "\nprint('here')", open=pb.Open(policy="all-routed"))
    first = events[0].verdict
    assert rule in {one.rule for one in first.findings}, first
    assert {one.action for one in first.findings} == {"route"}
    assert kinds(events) == ["verdict", "opened", "verdict", "stdout", "result"]
    assert events[1].opened.policy == "all-open"
    assert stdout(events) == b"here\n"


@pytest.mark.parametrize("rule", ["dynamic-class", "dynamic-attribute"])
@pytest.mark.parametrize(
    ("word", "decision", "severities", "outcome"),
    [
        ("deny", pb.DECISION_DENY, ["error"], pb.OUTCOME_DENIED),
        ("warn", pb.DECISION_WARN, ["warning"], pb.OUTCOME_OK),
        ("audit", pb.DECISION_ALLOW, ["note"], pb.OUTCOME_OK),
        ("allow", pb.DECISION_ALLOW, [], pb.OUTCOME_OK),
    ],
)
async def test_the_other_words_mean_what_they_say(
    wire: Wire, *, rule: str, word: str, decision: int, severities: list[str], outcome: int
):
    events = await run(wire, code=ROUTED[rule], open=pb.Open(policy=f"says-{word}"))
    verdict = events[1].verdict
    assert verdict.decision == decision
    assert [(one.rule, one.severity, one.action) for one in verdict.findings] == [
        (rule, severity, word) for severity in severities
    ]
    assert events[-1].result.outcome == outcome


# ---- each check removed: the next one holds, and without all of them the tests above would fail

WEAKER = HEAD.format(name="weaker") + (
    "extends: default\nscreen: {attributes: {format: route}}\nroute: {to: [lax]}\nisolate: {fresh: true}\n"
)
_NOT_WHEN_LOADING = Edit("policy/policy_set.py", "    check_routes(policies, chains)\n", "")
_NOT_WHEN_RUNNING = Edit("routing.py", "            if weakness:", "            if False:")
_NOT_NARROWED = Edit("sessions/one_shot.py", "policy.narrow(opening.limits)", "policy.limits")


@pytest.fixture
def weak_dir(tmp_path: Path) -> Path:
    (tmp_path / "weaker.yaml").write_text(WEAKER)
    (tmp_path / "lax.yaml").write_text(HEAD.format(name="lax") + POLICIES["lax"])
    return tmp_path


def test_a_daemon_with_a_weakening_route_does_not_start(start_daemon: StartDaemon, weak_dir: Path):
    error = start_daemon("--policy-dir", str(weak_dir)).error
    assert error["code"] == "POLICY_INVALID"
    assert "weaker.yaml:6: route.to[0]: lax does not demand fresh processes" in error["message"]


@pytest.mark.parametrize(
    ("edits", "opened"), [([_NOT_WHEN_LOADING], "weaker"), ([_NOT_WHEN_LOADING, _NOT_WHEN_RUNNING], "lax")]
)
async def test_a_route_that_weakens_is_refused_twice(
    start_daemon: StartDaemon, weak_dir: Path, short_dir: Path, edits: list[Edit], opened: str
):
    daemon = start_daemon("--policy-dir", str(weak_dir), tree=make_mutant(short_dir / "tree", edits))
    async with connected(daemon.address) as wire:
        events = await run(wire, open=pb.Open(policy="weaker"))
    assert {event.opened.policy for event in events if event.HasField("opened")} == {opened}
    assert (events[-1].result.outcome == pb.OUTCOME_OK) == (opened == "lax")


async def test_without_the_first_narrowing_moving_would_be_a_way_around(
    start_daemon: StartDaemon, policy_dir: Path, short_dir: Path
):
    tree = make_mutant(short_dir / "tree", [_NOT_NARROWED])
    daemon = start_daemon("--policy-dir", str(policy_dir), tree=tree)
    async with connected(daemon.address) as wire:
        events = await run(wire, open=pb.Open(policy="tight", limits=pb.Limits(pids=20)))
    assert (events[1].opened.policy, events[1].opened.limits.pids) == ("lax", 20)


# ---- the client


def test_a_one_shot_of_the_client_tells_both_verdicts(house: Daemon):
    pieces: list[str] = []
    one_shot = OneShot("tight", house.address, limits=Limits(wall_seconds=3))
    execution = one_shot.run(CODE, on_stdout=pieces.append)
    assert execution.outcome is Outcome.OK
    assert "".join(pieces) == execution.stdout == "moved!\n"
    assert execution.routing is not None
    assert (execution.routing.decision, execution.routing.route_to) == (Decision.ROUTE, "lax")
    assert execution.routing.routable
    assert not execution.routing.allowed
    assert execution.verdict is not None
    assert execution.verdict.policy == "lax"
    stayed = OneShot("tight", house.address, routing=False).run(CODE)
    assert (stayed.outcome, stayed.routing) == (Outcome.DENIED, None)


def test_a_one_shot_of_the_client_is_refused_by_name(house: Daemon):
    with pytest.raises(NotStartedError) as caught:
        OneShot("no-such", house.address).run("1")
    assert caught.value.code == "POLICY_NOT_FOUND"


def test_sandboxd_run_says_where_it_ran(house: Daemon):
    def sandboxd(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sandboxd", *words, "--policy", "tight", "--address", house.address]
        return subprocess.run(command, input=CODE, capture_output=True, text=True, check=False, timeout=100)

    moved = sandboxd("run", "-")
    assert (moved.returncode, moved.stdout) == (0, "moved!\n")
    assert "sandboxd: policy tight routed it to policy lax" in moved.stderr
    assert ": routed SBX" in moved.stderr
    assert ": error SBX" not in moved.stderr
    stayed = sandboxd("run", "-", "--no-routing")
    assert (stayed.returncode, stayed.stdout) == (4, "")
    assert "Policy lax takes it." in stayed.stderr
    assert json.loads(sandboxd("run", "-", "--json").stdout)["routing"]["route_to"] == "lax"
    checked = sandboxd("check", "-")
    assert (checked.returncode, "policy lax takes it" in checked.stdout) == (0, True), "as `run` would end"
    assert sandboxd("check", "-", "--strict").returncode == 4


# ---- what models write


@needs_packages
@pytest.mark.parametrize("snippet", HEAVY, ids=lambda snippet: snippet["id"])
async def test_what_needs_native_libraries_runs_where_it_may(house: Daemon, snippet: dict[str, str]):
    execution = await asyncio.to_thread(OneShot("pure", house.address).run, snippet["code"])
    assert execution.outcome is Outcome.OK, (execution.error, execution.verdict)
    assert execution.routing is not None
    assert execution.routing.route_to == "data-science"
    assert execution.verdict is not None
    assert execution.verdict.policy == "data-science"
    assert shown(execution).rstrip("\n") == snippet["expected_output"].rstrip("\n")


@pytest.mark.parametrize("snippet", HEAVY, ids=lambda snippet: snippet["id"])
def test_a_session_under_pure_refuses_native_libraries(house: Daemon, snippet: dict[str, str]):
    with Sandbox("pure", house.address) as sandbox:
        execution = sandbox.run_code(snippet["code"])
    assert execution.outcome is Outcome.DENIED
    assert execution.verdict is not None
    assert (execution.verdict.decision, execution.verdict.route_to) == (Decision.ROUTE, "data-science")
    assert execution.verdict.findings[0].rule in {"import-not-allowed", "native-module"}
    assert "policy data-science" in execution.verdict.findings[0].hint
    assert execution.stdout == ""
