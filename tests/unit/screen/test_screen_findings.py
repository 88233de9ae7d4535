"""Positions, bounds and order of findings; verdicts and the program's own SyntaxError."""

import re

import pytest

from sandboxd.events import Decision, Finding, Verdict
from sandboxd.screen import syntax_error_of
from sandboxd.screen.engine.catalogue import ALWAYS_DENIED, NEVER_RUN_HERE, RULES
from sandboxd.screen.engine.findings import Findings
from sandboxd.screen.verdicts import decide, finding_of, findings_of


def test_columns_count_code_points(screen):
    finding = screen("é = 'ü😀'; eval('1')\n")[0]
    assert (finding["line"], finding["column"], finding["end_line"], finding["end_column"]) == (1, 11, 1, 15)


def test_lines_end_as_the_tokenizer_says(screen):
    finding = screen("x = 1\r\ny = 2\rz = '''\n'''; \x0ceval\n")[0]
    assert (finding["line"], finding["column"]) == (4, 7)


def test_worst_first_then_in_the_order_of_the_text(screen):
    found = screen("t.format(1)\nx = y.gi_frame\neval\n", "data-science")
    assert [(one["severity"], one["line"]) for one in found] == [("error", 2), ("error", 3), ("warning", 1)]


def test_findings_are_capped_and_warnings_cannot_crowd_out_an_error(screen):
    found = screen("t.format(1)\n" * 1500 + "exec\n", "data-science")
    assert len(found) == 50
    assert found[0]["rule"] == "builtin-not-allowed"


def test_long_names_are_cut(screen):
    finding = screen(f"import {'a' * 5000}\n")[0]
    assert len(finding["message"]) <= 300
    assert len(finding["symbol"]) <= 100


def test_repeats_are_one_finding(screen):
    assert len(screen("eval; exec")) == 2
    assert len(screen("x.__class__")) == 1


def test_catalogue_ids_are_unique_and_in_their_range():
    assert len({rule.rule_id for rule in RULES.values()}) == len(RULES)
    for rule in RULES.values():
        assert re.fullmatch(r"SBX[0-69]\d\d", rule.rule_id)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
        assert rule.summary.endswith(".")


def test_the_policys_word_on_a_rule_holds_for_every_finding():
    collected = Findings(
        "", {"import-not-allowed": "route", "import-star": "allow", "dynamic-format": "audit"}
    )
    for rule in ("import-not-allowed", "import-star", "dynamic-format", "builtin-not-allowed"):
        collected.add(rule, "m", action="warn" if rule == "dynamic-format" else "deny")
    actions = {one["rule"]: (one["action"], one["severity"]) for one in collected.worst()[0]}
    assert actions == {
        "import-not-allowed": ("route", "error"),
        "dynamic-format": ("audit", "note"),
        "builtin-not-allowed": ("deny", "error"),
    }


@pytest.mark.parametrize("rule", sorted(ALWAYS_DENIED | NEVER_RUN_HERE))
@pytest.mark.parametrize("action", ["warn", "audit", "allow", "route", "surprise"])
def test_hard_rules_stay_hard(rule, action):
    collected = Findings("", {rule: action})
    collected.add(rule, "m", action=action)
    softest = "route" if action == "route" and rule in NEVER_RUN_HERE else "deny"
    assert [one["action"] for one in collected.worst()[0]] == [softest]


def finding(rule="x", severity="error", **more):
    return Finding(rule=rule, rule_id="SBX000", severity=severity, message="m", **more)


def test_decisions():
    assert decide(()) is Decision.ALLOW
    assert decide((finding(action="audit"),)) is Decision.ALLOW
    assert decide((finding(action="audit"), finding(action="warn"))) is Decision.WARN
    assert decide((finding(action="warn"), finding(action="route"))) is Decision.ROUTE
    assert decide((finding(action="route"), finding())) is Decision.DENY
    assert decide((finding(action="surprise"),)) is Decision.DENY


def verdict(*findings):
    return Verdict(decision=decide(findings), findings=findings)


SYNTAX = finding(rule="syntax-error", symbol="SyntaxError", line=2, column=9, end_line=2, end_column=10)


def test_a_syntax_error_is_the_programs_own():
    error = syntax_error_of(verdict(SYNTAX), "x = 1\n    y = = 2\n")
    assert (error.name, error.message, error.line) == ("SyntaxError", "m", 2)
    assert error.traceback == '  File "<cell>", line 2\n    y = = 2\n        ^\nSyntaxError: m\n'
    assert syntax_error_of(verdict(SYNTAX)).traceback == '  File "<cell>", line 2\nSyntaxError: m\n'
    assert syntax_error_of(verdict(SYNTAX, finding(severity="warning"))) is not None


def test_a_denial_beside_it_wins():
    assert syntax_error_of(verdict(SYNTAX, finding())) is None
    assert syntax_error_of(verdict()) is None
    assert syntax_error_of(verdict(finding())) is None


@pytest.mark.parametrize(("line", "column"), [(0, 0), (99, 1), (2, 5000), (-1, -1)])
def test_a_position_out_of_the_text_does_no_harm(line, column):
    odd = finding(
        rule="syntax-error", symbol="SyntaxError", line=line, column=column, end_line=line, end_column=column
    )
    assert syntax_error_of(verdict(odd), "x\n= 1").name == "SyntaxError"


GOOD = {
    "rule": "r", "rule_id": "i", "severity": "error", "message": "", "hint": "", "symbol": "",
    "line": 1, "column": 1, "end_line": 1, "end_column": 1, "action": "deny",
}  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        {},
        {**GOOD, "extra": 1},
        {**GOOD, "line": "1"},
        {**GOOD, "line": True},
        {**GOOD, "rule": 1},
        {**GOOD, "hint": "x" * 2000},
    ],
)
def test_answers_of_another_form_are_refused(form):
    assert finding_of(GOOD).rule == "r"
    with pytest.raises(ValueError, match="not a finding"):
        finding_of(form)


@pytest.mark.parametrize("forms", [None, {}, "x", [GOOD] * 51])
def test_lists_of_another_form_are_refused(forms):
    with pytest.raises(ValueError, match="not a list"):
        findings_of(forms)
