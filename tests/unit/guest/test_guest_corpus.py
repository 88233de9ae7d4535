"""Every snippet of the agents' corpus that this interpreter can run gives exactly its expected output."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tests.guest_harness import ROOT, Guest

CORPUS = ROOT / "tests" / "corpus"
# The tools' stand-ins define a final_answer of their own; the guest's built-in is under test.
_TOOLS = (CORPUS / "agent_tools.py").read_text() + "\ndel final_answer, FinalAnswer, TOOLS"
SNIPPETS: list[dict[str, Any]] = [
    json.loads(line) for line in (CORPUS / "agent_snippets.jsonl").read_text().splitlines()
]


def runnable(snippet: dict[str, Any]) -> bool:
    return all(importlib.util.find_spec(name.partition(".")[0]) for name in snippet["needs"])


def test_the_corpus_is_large_enough() -> None:
    assert sum(map(runnable, SNIPPETS)) >= 30


@pytest.fixture
def fresh(tmp_path: Path) -> Any:
    with Guest(workdir=str(tmp_path)) as guest:
        yield guest


@pytest.mark.parametrize("snippet", [pytest.param(s, id=s["id"]) for s in SNIPPETS if runnable(s)])
def test_snippet(fresh: Guest, snippet: dict[str, Any]) -> None:
    fresh.value(_TOOLS)
    cell = fresh.run(snippet["code"])
    assert cell.ok, cell.error
    final = cell.result["final"]
    answer = f"[final_answer] {final['text']}\n" if final else ""
    assert fresh.output() + answer == snippet["expected_output"]
