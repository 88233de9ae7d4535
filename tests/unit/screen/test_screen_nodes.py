"""SBX007, SBX008, SBX101: how much syntax, and which kinds."""

import ast
import sys

import pytest

from sandboxd.screen.engine import nodes


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n    async with x as y:\n        async for z in y:\n            await z\n",
        "match x:\n    case [1, *rest] if rest: pass\n    case {'a': 1, **more}: pass\n    case None | 'a' | C(x=1): pass\n    case _: pass\n",
        "def f(a, /, b: int = 1, *c, d=2, **e) -> int:\n    yield from a\n    return (yield)\n",
        "@d\nclass C(B, flag=1):\n    x: int = 1\n    def m(self): return super().m()\n",
        "x = [a async for a in b] if 0 else {k: v for k, v in {}.items() if k}\n".replace("async ", ""),
        "try:\n    raise E from e\nexcept (A, B) as e:\n    pass\nelse:\n    pass\nfinally:\n    assert 1, 'x'\n",
        "with a as b, c: del b, d[1:2, ...], e.f\n",
        "print(f'{x!r:>{w}}', *a, **b, sep='') if (y := 1) else lambda q: ~q @ 3 // 2 ** 1 << 4\n",
        "def f():\n    global a\n    def g():\n        nonlocal b\n    b = 1\n",
    ],
)
def test_ordinary_syntax_passes(rules_of, source):
    assert rules_of(source) == set()


def test_every_kind_of_this_python_is_placed_or_refused():
    """A new version's nodes are in no group: each one of today's that is in none is named here."""
    kinds = {
        name
        for name in dir(ast)
        if isinstance(getattr(ast, name), type) and issubclass(getattr(ast, name), ast.AST)
    }
    concrete = {name for name in kinds if not getattr(ast, name).__subclasses__()}
    not_in_programs = {"Interactive", "Expression", "FunctionType", "TypeIgnore", "Load", "Store", "Del"}
    old_names = {
        "AugLoad",
        "AugStore",
        "Param",
        "Suite",
        "Index",
        "ExtSlice",
        "Num",
        "Str",
        "Bytes",
        "NameConstant",
        "Ellipsis",
        "slice",
    }
    assert concrete - not_in_programs - old_names - set(nodes._GROUP_OF) == set()


# What 3.10 to 3.14 added to `ast`, by their documentation: this interpreter may not have all of them.
ADDED = (
    "Match match_case MatchValue MatchSingleton MatchSequence MatchMapping MatchClass MatchStar MatchAs MatchOr "  # 3.10
    "TryStar "  # 3.11
    "TypeAlias TypeVar ParamSpec TypeVarTuple "  # 3.12
    "TemplateStr Interpolation"  # 3.14
)


def test_what_later_grammars_added_is_in_a_group():
    assert set(ADDED.split()) <= nodes._GROUP_OF.keys()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the syntax is newer")
def test_except_star_is_refused_by_name(screen):
    (finding,) = screen("try:\n    pass\nexcept* ValueError:\n    pass\n")
    assert (finding["rule"], finding["symbol"], finding["line"]) == ("syntax-not-allowed", "TryStar", 1)
    assert "plain except" in finding["hint"]


def test_an_unknown_kind_is_refused(monkeypatch, rules_of):
    monkeypatch.delitem(nodes._GROUP_OF, "While")
    assert rules_of("while x: pass") == {"syntax-not-allowed"}


def test_node_budget(rules_of):
    assert rules_of("x = 1\n" * 10, nodes=31) == set()
    assert rules_of("x = 1\n" * 10, nodes=30) == {"too-many-nodes"}


def test_budgets_hold_along_attribute_chains(rules_of):
    assert rules_of("x" + ".a" * 150) == {"too-deeply-nested"}
    assert rules_of("x" + ".a" * 50, nodes=40) == {"too-many-nodes"}


@pytest.mark.parametrize("levels", [95, 97])
def test_depth_is_that_of_the_tree(rules_of, levels):
    """Module and Expr stand above, the name below."""
    assert rules_of("-" * levels + "x", depth=levels + 3) == set()
    assert rules_of("-" * levels + "x", depth=levels + 2) == {"too-deeply-nested"}


@pytest.mark.parametrize("shape", ["f(" * 90 + ")" * 90, "[" * 99 + "]" * 99, "lambda a:" * 120 + "1"])
def test_deep_calls_and_displays(rules_of, shape):
    assert rules_of(shape, depth=60) == {"too-deeply-nested"}


def test_a_hundred_branches_are_a_hundred_levels(rules_of):
    source = "if x == 0: pass\n" + "".join(f"elif x == {n}: pass\n" for n in range(1, 90))
    assert rules_of(source) == set()
