"""Findings as text: the line, carets below what is meant, nothing that drives a terminal."""

import pytest
from sandboxd_client.results import Decision, Finding, Verdict

from sandboxd.cli.verdict import excerpt, finding_lines, show_verdict


def finding(line, column, end_line, end_column, **more):
    return Finding(
        "r",
        "SBX000",
        "error",
        "m",
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
        **more,
    )


@pytest.mark.parametrize(
    ("code", "place", "shown", "marked"),
    [
        ("eval('1')", (1, 1, 1, 5), "eval('1')", "^^^^"),
        ("a; eval('1')", (1, 4, 1, 8), "a; eval('1')", "   ^^^^"),
        ("日本 = eval", (1, 6, 1, 10), "日本 = eval", "       ^^^^"),  # wide characters take two columns
        ("e\u0301 = eval", (1, 6, 1, 10), "e\u0301 = eval", "    ^^^^"),  # a combining one takes none
        ("\teval", (1, 2, 1, 6), "\\teval", "  ^^^^"),
        ("x\u202e = eval", (1, 6, 1, 10), "x\\u202e = eval", "          ^^^^"),
        ("\x1b[2J", (1, 1, 1, 2), "\\x1b[2J", "^^^^"),
        ("f(\n1)", (1, 1, 2, 3), "f(", "^^"),
        ("x", (1, 9, 1, 12), "x", " ^"),
        ("x = 1", (1, 1, 1, 1), "x = 1", "^"),
    ],
)
def test_carets_stand_below_what_is_meant(code, place, shown, marked):
    text, carets = excerpt(finding(*place), code.split("\n"))
    assert text == f"    1 | {shown}"
    assert carets == f"      | {marked}"


def test_of_a_long_line_the_part_around_the_place_is_shown():
    text, carets = excerpt(finding(1, 5001, 1, 5005), ["x" * 5000 + "eval" + "y" * 5000])
    assert len(text) <= 8 + 100
    assert text[carets.index("^") : carets.rindex("^") + 1] == "eval"


@pytest.mark.parametrize("place", [(0, 0, 0, 0), (7, 1, 7, 2), (-3, 1, 1, 1)])
def test_no_place_no_excerpt(place):
    assert excerpt(finding(*place), ["x"]) == []


def test_one_line_a_finding_whatever_it_holds():
    verdict = Verdict(Decision.DENY, findings=(finding(1, 1, 1, 2, hint="a\nb\x1b[2J"),))
    (line,) = finding_lines(verdict, "x\n.py")
    assert line == "x\\n.py:1:1: error SBX000 r: m (a\\nb\\x1b[2J)"


def test_what_moved_a_program_is_no_error_of_it():
    moved = (finding(1, 1, 1, 2, action="route"), finding(2, 1, 2, 2, action="warn"))
    words = [
        line.split()[1] for line in finding_lines(Verdict(Decision.ROUTE, moved, route_to="lax"), "a.py")
    ]
    assert words == ["routed", "error"]
    (line, _) = finding_lines(Verdict(Decision.DENY, moved), "a.py")
    assert line.split()[1] == "error", "nobody takes it"


def test_where_it_may_run_is_said(capsys):
    verdict = Verdict(
        Decision.ROUTE, findings=(finding(1, 1, 1, 2),), route_to="data-science", truncated=True
    )
    show_verdict(verdict, "a.py", "x")
    said = capsys.readouterr().out
    assert "a.py: policy data-science takes it." in said
    assert "more findings" in said
