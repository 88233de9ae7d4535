"""SBX205, SBX206: format strings walk attributes where no attribute node stands."""

import pytest


@pytest.mark.parametrize(
    "source",
    [
        "'{0.__class__}'.format(x)",
        "'{.__class__}'.format(x)",
        "'{a.b.__globals__[os]}'.format(a=x)",
        "'{0[k].__class__.__mro__}'.format(x)",
        "'{:{0.__class__}}'.format(x)",
        "'{0.gi_frame!r:>{w}}'.format(x)",
        "t = '{0.__class__}'\nt.format(x)",
        "f('{0.__class__}')",
        "'{x.__class__}'.format_map(d)",
        "s = ('{0.'\n 'f_globals}')",
    ],
)
def test_denied_attributes_in_templates(rules_of, source):
    assert "format-traversal" in rules_of(source)


@pytest.mark.parametrize(
    "source",
    [
        "'{:<8}|{:>7.2f}'.format(a, b)",
        "'{0.real} {1[key]} {name.title}'.format(a, b, name=c)",
        "header = '{:<8}'\nprint(header.format('x'))",
        "T: str = '{}'\ndef f(): return T.format(1)",
        "','.join(map('{:.2f}'.format, xs))",
        "x = '{' + 'a.__class__' + '}'",
        "css = 'a{b:c}.d{e:f}'",
        "f'{x.name} {y!r:>{w}}'",
    ],
)
def test_ordinary_templates(rules_of, source):
    assert rules_of(source) == set()


@pytest.mark.parametrize(
    "source",
    [
        "('{0.' + name + '}').format(x)",
        "t.format(x)",
        "def f(t): return t.format(1)",
        "t = 'a'\nt = g()\nt.format(1)",
        "for t in ts: t.format(1)",
        "str.format(t, x)",
        "f(t.format)",
        "t.format_map(d)",
        "('{}' * 3).format(1)",
    ],
)
def test_computed_templates(screen, source):
    (finding,) = screen(source)
    assert (finding["rule"], finding["severity"]) == ("dynamic-format", "error")
    assert "f-string" in finding["hint"]
    assert [one["severity"] for one in screen(source, "data-science")] == ["warning"]


def test_a_crafted_string_does_not_cost_time(rules_of):
    assert rules_of("x = '" + "{a." * 9000 + "'", line=100_000) == set()
