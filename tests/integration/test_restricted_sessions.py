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
FILES = {"os", "tempfile"}  # a restricted program has no facade of these
SNIPPETS = [json.loads(line) for line in (CORPUS / "agent_snippets.jsonl").read_text().splitlines()]
PURE = [one for one in SNIPPETS if not (NATIVE | FILES) & set(one["needs"])]
TOOLS = (CORPUS / "agent_tools.py").read_text().split("class FinalAnswer")[0]
POLICY = """\
apiVersion: sandboxd/v1
kind: Policy
metadata: {name: guarded, description: default under layer 2}
extends: default
restrict: {enabled: true}
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
