"""Attacks on filters of Python source, by the published class they belong to: refused by the rule that the file names.

`tests/corpus/screen_attacks.jsonl` is ours. Each attack is harmless and succeeds in plain Python, which is shown first: it
prints a word that stands nowhere in it. "warn RULE" says that a policy chose to report and run it; the jail is around it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import screen_source

FILE = Path(__file__).parents[2] / "corpus" / "screen_attacks.jsonl"
ATTACKS = [json.loads(line) for line in FILE.read_text().splitlines()]
CLASSES = {
    "CVE-2025-5120",  # smolagents: getattr
    "CVE-2025-9959",  # smolagents: the class hierarchy
    "CVE-2026-4963",  # smolagents: dunders by other ways than a load
    "CVE-2023-37271",  # RestrictedPython: frames
    "CVE-2023-41039",  # RestrictedPython: format strings
    "CVE-2024-47532",  # RestrictedPython: error objects
    "CVE-2026-55830",  # RestrictedPython: binders of a guard's name
    "CVE-2021-42694",  # identifiers
    "trojan source",
    "module traversal",
    "evaluated strings",
    "dynamic classes",
    "copied attributes",
    "processes",
}

GUARDED = {
    "dynamic-attribute",
    "dynamic-format",
}  # layer 2 sees the computed name or template when it is used


def test_each_class_has_an_attack_and_ids_are_unique():
    assert {one["class"] for one in ATTACKS} == CLASSES
    assert len({one["id"] for one in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one["id"])
@pytest.mark.parametrize("policy", sorted(ATTACKS[0]["rules"]))
def test_refused_by_the_screen_alone(attack, policy):
    expected = attack["rules"][policy]
    assert policy == "data-science" or not expected.startswith("warn ")
    action, _, rule = expected.rpartition(" ")
    findings = screen_source(attack["code"], policy)
    assert (findings[0]["action"], findings[0]["rule"]) == (action or "deny", rule)
    assert findings[0]["line"] >= 1
    assert findings[0]["hint"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one["id"])
def test_a_policy_that_restricts_refuses_it_or_leaves_it_to_the_guards(attack):
    """`tests/static` runs them past the guards; here stands which ones the guards have to stop."""
    assert screen_source(attack["code"], "pure") or attack["rules"]["default"] in GUARDED


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="what succeeds differs a little by version")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one["id"])
def test_each_succeeds_in_plain_python(attack):
    assert "ESCAPED" not in attack["code"]
    command = [sys.executable, "-I", "-S", "-B", "-c", attack["code"]]
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False
    )
    assert "ESCAPED" in done.stdout, done.stderr[-500:]
