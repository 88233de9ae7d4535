"""Invariant 4: screening never raises and never hangs, whatever the text. Through the real process."""

# ruff: noqa: RUF001 - look-alike characters are what is tested

import ast
import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandboxd.events import Decision, ToolCallers, ToolSpec, Verdict
from sandboxd.policy import PolicySet
from sandboxd.screen import Screener, syntax_error_of
from sandboxd.screen.tools import Signatures

POLICIES = PolicySet.load(None, default="default", allow_unscreened=True)
SNIPPETS = [
    json.loads(line)["code"]
    for line in (Path(__file__).parents[1] / "corpus/agent_snippets.jsonl").read_text().splitlines()
]
FRAGMENTS = [
    "import os as ", "from . import *\n", "__class__", ".gi_frame", "eval(", "lambda:", "async ", "await ", "match x:\n case ", "except* E:\n",
    "'{0.__class__}'", "\x00", "\u202e", "\ud800", "\ufeff", "ｅｖａｌ", "9" * 5000, "0x" + "f" * 5000, "(" * 150, "-" * 2000, "\\\n", "\t", "\r", "\x0c",
    '"""', "f'{", "}", "**", "global os\n", "nonlocal os\n", "type X = ", "def f[T](): ", "getattr(", "@", ":=", "# coding: utf-7\n", "é", "😀",
    "tools.", "tools.search(", "search(q=", "search(*", "await search.aio(", "tools = ", "del search\n", "tools.wipe()", "import search\n",
]  # fmt: skip


@st.composite
def mutated_programs(draw):
    source = draw(st.sampled_from(SNIPPETS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(source)))
        end = min(len(source), start + draw(st.integers(0, 20)))
        source = (
            source[:start] + draw(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=5))) + source[end:]
        )
    return source


TOOLS = Signatures.of(
    [
        ToolSpec("search", "", '{"type": "object", "properties": {"q": {}}, "required": ["q"]}'),
        ToolSpec("wipe", "", '{"type": "object", "properties": {}}', callers=ToolCallers.DIRECT),
    ]
)
SOURCES = st.one_of(
    st.text(st.characters(), max_size=300),
    st.text("()[]{}:=,.*+-'\"\\\n\t abfimport 0_x@#", max_size=300),
    st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join),
    mutated_programs(),
)


@pytest.fixture(scope="module")
def screen():
    """Screens in one real process, on a loop that lives as long as this module."""
    loop = asyncio.new_event_loop()
    screener = Screener()
    loop.run_until_complete(screener.start())

    def check(source: str, policy: str, *, thorough: bool = False) -> Verdict:
        checked = screener.check(source, POLICIES.get(policy), thorough=thorough, signatures=TOOLS)
        return loop.run_until_complete(checked)

    yield check
    loop.run_until_complete(screener.close())
    loop.close()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=SOURCES, policy=st.sampled_from(POLICIES.names()))
def test_every_text_gets_a_verdict(screen, source, policy):
    verdict = screen(source, policy)
    assert isinstance(verdict, Verdict)
    assert len(verdict.findings) <= 50
    assert not any(one.rule == "screen-failed" for one in verdict.findings)
    stopped = verdict.decision in {Decision.DENY, Decision.ROUTE}
    assert stopped == any(one.severity == "error" for one in verdict.findings)
    for one in verdict.findings:
        assert len(one.message) <= 300
        assert one.line <= source.count("\n") + source.count("\r") + 1
    syntax_error_of(verdict, source)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=SOURCES)
def test_what_is_let_through_compiles(screen, source):
    if screen(source, "data-science", thorough=True).decision is not Decision.DENY:
        compile(source, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=SOURCES)
def test_what_the_child_policy_refuses_its_stricter_parent_refuses(screen, source):
    """data-science only loosens default."""
    wide, strict = screen(source, "data-science"), screen(source, "default")
    if wide.decision is Decision.DENY:
        added = {"numpy", "pandas", "scipy", "sympy", "to_pickle", "read_pickle"}
        only_added = all(
            one.symbol.split(".")[0] in added for one in wide.findings if one.severity == "error"
        )
        assert strict.decision is Decision.DENY or only_added


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=mutated_programs())
def test_no_denied_name_is_let_through(screen, source):
    if screen(source, "data-science").decision is Decision.DENY:
        return
    for node in ast.walk(ast.parse(source)):
        assert getattr(node, "id", "") not in {"eval", "exec", "compile", "__import__", "__builtins__"}
        assert getattr(node, "attr", "") not in {"__globals__", "__subclasses__", "gi_frame", "f_back"}
        if isinstance(node, ast.Import):
            assert all(
                alias.name.split(".")[0] not in {"subprocess", "ctypes", "socket"} for alias in node.names
            )
