"""`sandboxd explain`: no daemon, every rule, nearest names."""

import json

import pytest

from sandboxd.cli import main
from sandboxd.screen.engine.catalogue import RULES


@pytest.mark.parametrize("rule", ["SBX301", "sbx301", "import-not-allowed"])
def test_a_rule_by_name_or_id(capsys, rule):
    assert main(["explain", rule]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# SBX301 import-not-allowed\n")
    assert "## Instead\n" in shown


def test_the_list_has_every_rule_once(capsys):
    assert main(["explain"]) == 0
    shown = capsys.readouterr().out
    assert all(shown.count(f"  {rule.rule_id}  {rule.name} ") == 1 for rule in RULES.values())


def test_json(capsys):
    assert main(["explain", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["rule"] for one in listed] == list(RULES)
    assert main(["explain", "screen-failed", "--json"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert (page["rule_id"], page["actions"], page["cwe"]) == ("SBX901", ["deny"], ["636"])
    assert page["markdown"].startswith("# SBX901")


def test_an_unknown_rule_is_wrong_usage_and_names_the_nearest(capsys):
    assert main(["explain", "import-not-alowed"]) == 2
    assert "import-not-allowed" in capsys.readouterr().err
    assert main(["explain", "\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err
