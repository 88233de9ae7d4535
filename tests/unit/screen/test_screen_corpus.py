"""Real agent code passes; known attacks are refused, each by the rule that the golden file names."""

import json
import subprocess
import sys
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


STATIC = [
    one
    for one in ATTACKS.values()
    if one["layer"] == "ast" or (one["layer"] == "restrictedpython" and one["expect_code"] == "R")
]
# Items of the layer `ast` that break no rule: all that they do, in plain Python too, is what is said here.
INERT = {
    "AST-032": "",  # the cookie counts for bytes alone: the text that was screened runs, and prints nothing
    "AST-058": "ESCAPED\n",  # runs when it is defined, as all of a snippet does: nothing here "only defines"
    "AST-087": "ESCAPED? eof\n",  # there is no terminal: input() meets the end of a file
}
# The data policy reports and runs what computes its templates; its environment is the jail's affair.
WARNED = {"data-science": {"AST-021": "dynamic-format"}}


@pytest.mark.parametrize("policy", sorted(GOLDEN))
def test_attacks_are_refused_as_before(policy):
    """A golden file: what the screen refuses today it goes on refusing, by the same first rule."""
    denied = {one["id"]: found[0]["rule"] for one in STATIC if (found := errors(one["code"], policy))}
    lost = {name: rule for name, rule in GOLDEN[policy].items() if denied.get(name) != rule}
    assert lost == {}
    assert denied.keys() == GOLDEN[policy].keys(), "more is refused than the golden file says: add it there"


@pytest.mark.parametrize("policy", sorted(GOLDEN))
def test_every_item_of_the_layer_is_refused_or_inert(policy):
    left = {one["id"] for one in STATIC if one["layer"] == "ast"} - GOLDEN[policy].keys()
    warned = WARNED.get(policy, {})
    assert left <= INERT.keys() | warned.keys()
    for name, rule in warned.items():
        assert [one["rule"] for one in screen_source(ATTACKS[name]["code"], policy)] == [rule]


@pytest.mark.parametrize("attack", STATIC, ids=lambda one: one["id"])
def test_a_policy_that_restricts_refuses_what_the_default_does(attack):
    """But what layer 2's guards see at run time: computed names and templates."""
    rule = GOLDEN["default"].get(attack["id"], "")
    assert errors(attack["code"], "pure") or rule in {"", "dynamic-attribute", "dynamic-format"}


@pytest.mark.parametrize("name", sorted(INERT))
def test_what_is_called_inert_is(name):
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", ATTACKS[name]["code"]],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, INERT[name], "")
