"""SBX50x: constants that are made to burn."""

import pytest


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("x = 0x" + "f" * 2000, "integer-too-large"),
        ("9**9**9", "power-too-large"),
        ("9**9**8", "power-too-large"),
        ("-7 ** (10 * 10**6)", "power-too-large"),
        ("1 << 10**9", "shift-too-large"),
        ("'a' * 10**10", "repeat-too-large"),
        ("10**10 * [0]", "repeat-too-large"),
        ("[[0] * 10**9 for _ in x]", "repeat-too-large"),
        ("b'abc' * (2**40)", "repeat-too-large"),
        ("for i in range(10**12): pass", "range-too-large"),
        ("[i for i in range(0, 10**15, 3)]", "range-too-large"),
        ("for i in range(10**15, 0, -1): pass", "range-too-large"),
        ("x = '" + "a" * 33000 + "'", "string-too-large"),
        ("x = b'" + "a" * 33000 + "'", "string-too-large"),
        ("pow(9, 10**8)", "power-too-large"),
        ("import operator\noperator.pow(9, 10**9)", "power-too-large"),
        ("import operator\noperator.lshift(1, 10**9)", "shift-too-large"),
        ("import operator\noperator.mul('a', 10**9)", "repeat-too-large"),
        ("x <<= 10**9", "shift-too-large"),
        ("'a'.ljust(10**10)", "repeat-too-large"),
        ("x.zfill(10**10)", "repeat-too-large"),
        ("bytes(10**10)", "repeat-too-large"),
        ("bytearray(10**10)", "repeat-too-large"),
        ("'a' * 10**6 * 10**6", "repeat-too-large"),
        ("10**6 * (10**6 * [0])", "repeat-too-large"),
        ("f'{x:>10000000000}'", "repeat-too-large"),
        ("'%010000000000d' % 1", "repeat-too-large"),
        ("'%(a)10000000000s' % x", "repeat-too-large"),
        ("sum(range(10**12))", "range-too-large"),
        ("list(range(10**12))", "range-too-large"),
    ],
)
def test_over_budget(screen, source, rule):
    findings = screen(source, line=100_000)
    assert rule in {one["rule"] for one in findings}
    assert all(len(one["message"]) < 200 for one in findings)


@pytest.mark.parametrize(
    "source",
    [
        "2**1000 + 2**-3 + 0**10**9 + 1**10**12 + (-1)**10**12",
        "1 << 64",
        "0 << 10**9",
        "[True] * (10**7 + 1)",
        "'-' * 80",
        "for i in range(10**7): pass",
        "x in range(10**18)",
        "range(0)",
        "pow(9, 10**8, 7)",
        "x **= 10**9",
        "x *= 10**9",
        "def bytes(n): pass\nbytes(10**10)",
        "x.zfill(5) + 'a'.ljust(width)",
        "'%d 20240101' % x",
        "f'{x:%Y%m%d} {y:020.3f}'",
        "sum(range(10**6))",
        "for i in range(0, 10, 0): pass",
        "3.0**400 * 2",
        "'%s' % 5 * 2",
        "x = '" + "é" * 1000 + "'",
        "len([]) * 10**12",
    ],
)
def test_within_budget(rules_of, source):
    assert rules_of(source) == set()


def test_huge_integers_are_never_written_out(screen):
    (finding,) = screen("x = 0x" + "f" * 30000, line=100_000)
    assert finding["message"] == "an integer of 120000 bits; the budget is 4096"
