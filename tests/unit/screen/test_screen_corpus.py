"""Real agent code passes; known attacks are refused, each by the rule that the golden file names."""

import json
from pathlib import Path

import pytest
from in_process import screen_source

CORPUS = Path(__file__).parents[2] / "corpus"
SNIPPETS = [json.loads(line) for line in (CORPUS / "agent_snippets.jsonl").read_text().splitlines()]
ATTACKS = {one["id"]: one for one in map(json.loads, (CORPUS / "attacks.jsonl").read_text().splitlines())}
GOLDEN = json.loads((CORPUS / "screen_denied.json").read_text())
NATIVE = {"numpy", "pandas", "sympy", "matplotlib.pyplot", "matplotlib", "scipy"}


def errors(source, policy):
    return [one for one in screen_source(source, policy) if one["severity"] == "error"]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda one: one["id"])
def test_data_science_accepts_agent_code(snippet):
    assert screen_source(snippet["code"], "data-science") == []


@pytest.mark.parametrize(
    "snippet", [one for one in SNIPPETS if not NATIVE & set(one["needs"])], ids=lambda one: one["id"]
)
def test_default_accepts_agent_code_without_native_libraries(snippet):
    assert screen_source(snippet["code"], "default") == []


@pytest.mark.parametrize(
    "snippet", [one for one in SNIPPETS if NATIVE & set(one["needs"])], ids=lambda one: one["id"]
)
def test_default_names_the_policy_for_native_libraries(snippet):
    found = errors(snippet["code"], "default")
    assert {one["rule"] for one in found} == {"import-not-allowed"}
    assert all("use policy data-science" in one["hint"] for one in found)


@pytest.mark.parametrize("policy", sorted(GOLDEN))
def test_attacks_are_refused_as_before(policy):
    """A golden file: what the screen refuses today it goes on refusing, by the same first rule."""
    static = [
        one
        for one in ATTACKS.values()
        if one["layer"] in {"ast", "restrictedpython"} and one["expect_code"] == "R"
    ]
    denied = {one["id"]: found[0]["rule"] for one in static if (found := errors(one["code"], policy))}
    lost = {name: rule for name, rule in GOLDEN[policy].items() if denied.get(name) != rule}
    assert lost == {}
    assert denied.keys() == GOLDEN[policy].keys(), "more is refused than the golden file says: add it there"
