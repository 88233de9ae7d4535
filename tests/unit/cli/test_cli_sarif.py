"""SARIF 2.1.0 against its schema (from the npm package @microsoft/jest-sarif, MIT), and what readers rely on beyond it."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from sandboxd_client.results import Decision, Finding, Verdict

from sandboxd.cli.sarif import Checked, sarif_log
from sandboxd.screen.engine.catalogue import RULES

SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0-rtm.5.json").read_text())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def finding(rule="import-not-allowed", *, line=2, column=8, end=(2, 14), symbol="socket", **more):
    return Finding(
        rule=rule, rule_id=RULES[rule].rule_id if rule in RULES else "SBX999", severity="error", message="no",
        hint="Do without.", symbol=symbol, line=line, column=column, end_line=end[0], end_column=end[1], **more,
    )  # fmt: skip


def checked(*findings, name="dir/my program.py", code="x = 1\nimport socket\n"):
    verdict = Verdict(
        decision=Decision.DENY,
        findings=findings,
        policy="default",
        policy_digest="d" * 64,
        source_sha256="a" * 64,
    )
    return Checked(name, code, verdict)


def log_of(*files):
    log = sarif_log(files, version="1.2.3", exit_code=4)
    assert [error.message for error in VALIDATOR.iter_errors(log)] == []
    assert json.loads(json.dumps(log)) == log
    return log["runs"][0]


def test_the_schema_is_the_one_of_sarif_and_refuses():
    assert SCHEMA["title"].startswith("Static Analysis Results Format (SARIF) Version 2.1.0")
    assert not VALIDATOR.is_valid({"version": "2.1.0", "runs": [{"tool": {"driver": {}}}]})
    assert not VALIDATOR.is_valid(
        {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "typo": 1}]}
    )


def test_a_result_points_at_its_rule_place_and_policy():
    run = log_of(checked(finding()))
    (result,) = run["results"]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (result["ruleId"], rule["id"], rule["name"]) == ("SBX301", "SBX301", "import-not-allowed")
    assert rule["help"]["markdown"].startswith("# SBX301 import-not-allowed\n")
    assert "external/cwe/cwe-829" in rule["properties"]["tags"]
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "dir/my%20program.py", "index": 0}
    assert location["region"] == {
        "startLine": 2, "startColumn": 8, "endLine": 2, "endColumn": 14, "snippet": {"text": "import socket"},
    }  # fmt: skip
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["properties"]["policyDigest"] == result["properties"]["policyDigest"] == "d" * 64
    assert run["artifacts"][0]["hashes"] == {"sha-256": "a" * 64}


@pytest.mark.parametrize(
    ("action", "level"),
    [("deny", "error"), ("route", "warning"), ("warn", "warning"), ("audit", "note"), ("new", "error")],
)
def test_actions_are_levels(action, level):
    (result,) = log_of(checked(finding(action=action)))["results"]
    assert (result["level"], result["kind"], result["properties"]["action"]) == (level, "fail", action)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_makes_a_valid_log(rule):
    assert log_of(checked(finding(rule)))["tool"]["driver"]["rules"][0]["id"] == RULES[rule].rule_id


def test_rules_stand_once_and_in_order():
    files = [
        checked(finding("import-star"), finding("bidi-control")),
        checked(finding("import-star"), name="b.py"),
    ]
    run = log_of(*files)
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["SBX010", "SBX302"]
    assert [result["ruleIndex"] for result in run["results"]] == [1, 0, 1]
    assert [
        one["locations"][0]["physicalLocation"]["artifactLocation"]["index"] for one in run["results"]
    ] == [0, 0, 1]


def prints(*files):
    return [one["partialFingerprints"]["sandboxdFinding/v1"] for one in log_of(*files)["results"]]


def test_fingerprints_survive_moved_lines_and_tell_twins_apart():
    before = prints(checked(finding()))
    moved = finding(line=4, end=(4, 14))
    assert prints(checked(moved, code="\n\nx = 2\n  import   socket\n")) == before
    assert prints(checked(finding(symbol="ssl"))) != before
    assert prints(checked(finding("import-star"))) != before
    twins = prints(checked(finding(), replace(finding(), column=1)))
    assert twins[0] == before[0]
    assert twins[0] != twins[1]


def test_what_was_not_judged_is_a_notification():
    syntax = finding("syntax-error", line=1, column=5, end=(1, 5), symbol="SyntaxError")
    run = log_of(checked(syntax), checked(finding(), name="b.py"))
    assert [one["ruleId"] for one in run["results"]] == ["SBX301"]
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert (note["message"]["text"], note["associatedRule"]["id"]) == ("SyntaxError: no", "SBX001")
    assert run["invocations"][0]["executionSuccessful"]
    assert run["invocations"][0]["exitCode"] == 4
    failed = log_of(checked(finding("screen-failed", line=0, column=0, end=(0, 0))))
    assert not failed["invocations"][0]["executionSuccessful"]


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("-", f"snippet:///{'a' * 64}.py"),
        ("/tmp/ä b.py", "file:///tmp/%C3%A4%20b.py"),
        ("a#b?.py", "a%23b%3F.py"),
        ("not\udcffutf8.py", "not%FFutf8.py"),
        ("/not\udcffutf8.py", "file:///not%FFutf8.py"),
    ],
)
def test_names_become_uris(name, uri):
    assert log_of(checked(finding(), name=name))["artifacts"][0]["location"]["uri"] == uri


@pytest.mark.parametrize("place", [(0, 0, 0, 0), (99, 1, 99, 2), (2, 5, 1, 1), (-1, -1, 0, 0)])
def test_odd_places_are_valid(place):
    line, column, *end = place
    log_of(checked(finding(line=line, column=column, end=tuple(end))))


def test_a_rule_of_a_newer_daemon():
    run = log_of(checked(finding("rule-of-tomorrow")))
    assert run["tool"]["driver"]["rules"] == [{"id": "SBX999", "name": "rule-of-tomorrow"}]
