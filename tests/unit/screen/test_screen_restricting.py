"""SBX110, SBX902: what the restricting compiler says becomes findings like any other."""

import ast

from in_process import POLICIES

from sandboxd.screen.engine.analysis import analyse
from sandboxd.screen.engine.restricting import Compiler
from sandboxd.screen.engine.rules import Rules

FORM = POLICIES.get("pure").screen.as_json()


def test_an_interpreter_without_the_compiler_runs_nothing():
    answer = analyse("x = 1\n", Rules(FORM), Compiler(None, "no module named RestrictedPython"))
    (finding,) = answer["findings"]
    assert (finding["rule"], finding["rule_id"], finding["action"]) == (
        "restrict-unavailable",
        "SBX902",
        "deny",
    )
    assert "RestrictedPython" in finding["message"]
    assert not answer.get("program")


def test_no_policy_lets_it_run_here_all_the_same():
    for action in ("warn", "audit", "allow"):
        rules = Rules({**FORM, "actions": {"restrict-unavailable": action, "restrict-refused": action}})
        assert analyse("x = 1\n", rules, Compiler(None, "none"))["findings"][0]["action"] == "deny"
        refused = analyse("class A(metaclass=type): pass\n", rules, Compiler(_refusing, ""))
        assert [one["action"] for one in refused["findings"]] == ["deny"]
        assert not refused.get("program")


def _refusing(_source: str, tree: ast.Module) -> object:
    class Compiled:
        program = b""
        refusals = (("restrict-refused", "no", "Do without.", tree.body[0]),)

    return Compiled()
