"""What a code agent's model writes gives exactly its expected output, through the real daemon, under data-science."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sandboxd_client import Execution, Outcome, Sandbox

if TYPE_CHECKING:
    from daemons import Daemon

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]

CORPUS = Path(__file__).parents[1] / "corpus"
SNIPPETS = [json.loads(line) for line in (CORPUS / "agent_snippets.jsonl").read_text().splitlines()]
# Plain stand-ins: the tools are defined in the session before the snippet. `final_answer` is the guest's own.
TOOLS = (CORPUS / "agent_tools.py").read_text().split("class FinalAnswer")[0]


@pytest.fixture(scope="module")
def environment() -> None:
    """The shipped environment; made at first use, as `make demo` makes it."""
    command = [sys.executable, "-m", "sandboxd", "env", "create", "data-science", "--if-missing"]
    subprocess.run(command, check=True, timeout=280)


@pytest.fixture(scope="module")
def warm(environment: None, daemon: Daemon) -> Iterator[str]:
    """The daemon's address, once its interpreter with pandas is there."""
    with Sandbox("data-science", daemon.address):
        yield daemon.address


def shown(execution: Execution) -> str:
    """Return stdout and then the answer, as the corpus has it."""
    answer = execution.final_answer
    return "".join(execution.logs.stdout) + (f"[final_answer] {answer.text}\n" if answer is not None else "")


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet["id"])
def test_snippet_gives_exactly_its_expected_output(warm: str, snippet: dict[str, str]) -> None:
    with Sandbox("data-science", warm) as sandbox:
        if snippet["tools"]:
            assert sandbox.run_code(TOOLS).outcome is Outcome.OK
        execution = sandbox.run_code(snippet["code"])
    assert execution.outcome is Outcome.OK, (execution.error, execution.verdict)
    assert shown(execution).rstrip("\n") == snippet["expected_output"].rstrip("\n")


def test_the_whole_corpus_is_here() -> None:
    assert len(SNIPPETS) == 38
