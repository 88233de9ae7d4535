"""Restricted sessions through the real daemon: text to screener to program to guest, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import StartDaemon
from sandboxd_client import Execution, Outcome, Sandbox

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]

CORPUS = Path(__file__).parents[1] / "corpus"
NATIVE = {"numpy", "pandas", "sympy", "matplotlib.pyplot"}
SNIPPETS = [json.loads(line) for line in (CORPUS / "agent_snippets.jsonl").read_text().splitlines()]
PURE = [one for one in SNIPPETS if not NATIVE & set(one["needs"])]
TOOLS = (CORPUS / "agent_tools.py").read_text().split("class FinalAnswer")[0]
POLICY = """\
apiVersion: sandboxd/v1
kind: Policy
metadata: {name: guarded, description: default under layer 2}
extends: default
restrict: {enabled: true}
screen:
  attributes: {dynamic: warn, format: warn}
  actions: {path-outside-sandbox: warn}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, start_module_daemon: StartDaemon) -> str:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "guarded.yaml").write_text(POLICY)
    return start_module_daemon("--policy-dir", str(folder)).address


@pytest.fixture
def sandbox(address: str) -> Iterator[Sandbox]:
    with Sandbox("guarded", address) as opened:
        yield opened


def shown(execution: Execution) -> str:
    answer = execution.final_answer
    return "".join(execution.logs.stdout) + (f"[final_answer] {answer.text}\n" if answer is not None else "")


@pytest.mark.parametrize("snippet", PURE, ids=lambda snippet: snippet["id"])
def test_pure_snippets_give_exactly_their_expected_output(sandbox: Sandbox, snippet: dict[str, str]) -> None:
    if snippet["tools"]:
        assert sandbox.run_code(TOOLS).outcome is Outcome.OK
    execution = sandbox.run_code(snippet["code"])
    assert execution.outcome is Outcome.OK, (execution.error, execution.verdict)
    assert shown(execution).rstrip("\n") == snippet["expected_output"].rstrip("\n")


def test_state_tracebacks_and_values_are_those_of_a_plain_session(sandbox: Sandbox) -> None:
    assert sandbox.run_code("class A:\n    def __init__(self): self._n = 1\na = A()").outcome is Outcome.OK
    assert sandbox.run_code("a._n += 1\na._n").text == "2"
    failed = sandbox.run_code("x = 1\nb = a.missing")
    assert failed.outcome is Outcome.ERROR
    assert failed.error is not None
    assert (failed.error.name, failed.error.line) == ("AttributeError", 2)
    assert "    b = a.missing\n        ^^^^^^^^^" in failed.error.traceback
    assert "guard" not in failed.error.traceback


@pytest.mark.parametrize(
    ("code", "rule", "line", "column"),
    [
        ("class A:\n    def __class_getitem__(cls, key): pass", "restrict-refused", 2, 5),
        ("x = 1\ntry: x\nexcept* ValueError: pass", "syntax-not-allowed", 2, 1),
        ("def f(_getattr_, /): pass", "reserved-name", 1, 7),
        ("x = 1\nmatch x:\n    case str(format=f): pass", "restrict-refused", 3, 10),
    ],
)
def test_what_cannot_be_guarded_is_denied_with_its_place(
    sandbox: Sandbox, code: str, rule: str, line: int, column: int
) -> None:
    execution = sandbox.run_code(code)
    assert execution.outcome is Outcome.DENIED
    first = execution.verdict.findings[0]
    assert (first.rule, first.line, first.column) == (rule, line, column)


@pytest.mark.parametrize(
    "code",
    [
        "getattr((), ''.join(['__cla', 'ss__']))",
        "import functools\nfunctools.reduce(getattr, [''.join(['__cla', 'ss__'])], ())",
        "t = ''.join(['{0.__cla', 'ss__}'])\nt.format(())",
        "open('/proc/self/maps')",
    ],
)
def test_what_only_run_time_can_see_is_refused_there(sandbox: Sandbox, code: str) -> None:
    """The screen of this policy lets computed names pass: the guards are what refuses them."""
    execution = sandbox.run_code(code)
    assert execution.outcome is Outcome.ERROR, execution.verdict
    assert execution.error is not None
    assert "in restricted code" in execution.error.value


def test_a_name_that_python_wants_bound_is_refused_by_the_layer_that_knows(sandbox: Sandbox) -> None:
    assert sandbox.run_code("__builtins__ = {'guard.write': id}").outcome is Outcome.DENIED
    assert sandbox.run_code("[1, 2][0]").text == "1"
