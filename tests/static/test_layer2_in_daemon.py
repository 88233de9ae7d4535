"""Layer 2 through the real daemon: its attacks with the screen's rules only noted, the snippets under `pure`.

The policy of these attacks has every rule of the screen at `audit`, so what stops an attack here is the compiler, the guards
or the facades; the jail stands around it, as always.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import Daemon, StartDaemon
from sandboxd_client import Decision, Execution, Outcome, Sandbox

from sandboxd.policy.rule_actions import FREE
from tests.static import corpus
from tests.static.corpus import Program
from tests.static.test_attack_items import MARKER, MAY_RUN

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]

_POLICY = """\
apiVersion: sandboxd/v1
kind: Policy
metadata: {name: layer-2-alone, revision: 1, description: The screen notes and lets through; layer 2 decides.}
screen:
  text: {bidi: warn, zero_width: warn, control: warn, nfkc: warn}
  imports: {star: warn}
  attributes: {dynamic: allow, format: allow}
  nodes: {allow: ["@core", "@functions", "@classes", "@comprehensions", "@generators", "@match", "@annotations", "@async"]}
  actions:
%s
restrict: {enabled: true}
isolate: {executor: process, environment: base, network: none}
limits: {wall: 10s, grace: 250ms, cpu: 10s, memory: {max: 256MiB, enforce: per_process}}
"""
ATTACKS = [*corpus.attacks("restrictedpython"), *corpus.attacks("ast")]
SAMPLE = [one for one in corpus.probes() if ": refused: " not in one.name and "asyncio" not in one.source][
    ::4
]
TOOLS = corpus.TOOLS.read_text(encoding="utf-8").split("class FinalAnswer")[0]


@pytest.fixture(scope="module")
def layer2(start_module_daemon: StartDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    folder: Path = tmp_path_factory.mktemp("policies")
    rules = "\n".join(f"    {name}: audit" for name in sorted(FREE))
    (folder / "layer-2-alone.yaml").write_text(_POLICY % rules, encoding="utf-8")
    daemon = start_module_daemon("--allow-unscreened", "--policy-dir", str(folder))
    assert not daemon.error, daemon.error
    return daemon


def shown(execution: Execution) -> str:
    """Return what a program printed, and its answer as the corpus has it."""
    answer = execution.final_answer
    return "".join(execution.logs.stdout) + (f"[final_answer] {answer.text}\n" if answer is not None else "")


@pytest.fixture(scope="module")
def alone(layer2: Daemon) -> Iterator[Sandbox]:
    with Sandbox("layer-2-alone", layer2.address) as sandbox:
        yield sandbox


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["id"])
def test_layer_2_stops_it_with_the_screen_open(alone: Sandbox, attack: dict[str, str]) -> None:
    done = alone.run_code(attack["code"])
    assert done.outcome in {Outcome.DENIED, Outcome.ERROR, Outcome.OK}
    if attack["id"] not in MAY_RUN:
        said = [done.stdout, done.stderr, done.text or "", done.error.traceback if done.error else ""]
        assert MARKER not in "\n".join(said)
    assert alone.run_code("1 + 1").text == "2"


@pytest.mark.parametrize("program", SAMPLE, ids=lambda program: program.name)
def test_a_probe_gives_under_pure_what_it_gives_in_plain_python(layer2: Daemon, program: Program) -> None:
    with Sandbox("unscreened", layer2.address) as plain, Sandbox("pure", layer2.address) as pure:
        expected, here = plain.run_code(program.source), pure.run_code(program.source)
    assert here.outcome is Outcome.OK, (here.error, here.verdict)
    assert (here.stdout, here.text) == (expected.stdout, expected.text)


@pytest.mark.parametrize("snippet", corpus.snippets(native=False), ids=lambda snippet: snippet["id"])
def test_a_pure_snippet_gives_its_expected_output(layer2: Daemon, snippet: dict[str, str]) -> None:
    with Sandbox("pure", layer2.address) as sandbox:
        if snippet["tools"]:
            assert sandbox.run_code(TOOLS).outcome is Outcome.OK
        done = sandbox.run_code(snippet["code"])
    assert done.outcome is Outcome.OK, (done.error, done.verdict)
    assert shown(done).rstrip("\n") == snippet["expected_output"].rstrip("\n")


@pytest.mark.parametrize("snippet", corpus.snippets(native=True), ids=lambda snippet: snippet["id"])
def test_a_native_snippet_is_routed_and_told_where(layer2: Daemon, snippet: dict[str, str]) -> None:
    with Sandbox("pure", layer2.address) as sandbox:
        done = sandbox.run_code(snippet["code"])
    assert done.verdict.decision is Decision.ROUTE
    assert done.verdict.route_to == "data-science"
