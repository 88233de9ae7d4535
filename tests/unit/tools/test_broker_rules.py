"""The policy's say about a call: patterns, and what arguments must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxd.errors import SandboxdError
from sandboxd.policy import PolicySet
from sandboxd.tools import Rules
from sandboxd.tools.rules import matches

HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"


def rules(**arguments: Any) -> Rules:
    return Rules("p", ("*",), ("*_delete", "rm_*"), {"read_*": arguments})


@pytest.mark.parametrize(
    ("pattern", "fits", "misfits"),
    [
        ("*", ["a", "anything"], []),
        ("search", ["search"], ["search_x", "xsearch", "Search"]),
        ("search_*", ["search_", "search_web"], ["search", "asearch_web"]),
        ("*_delete", ["file_delete", "_delete"], ["delete", "file_delete_x"]),
        ("*admin*", ["admin", "is_admin_now"], ["adm"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], misfits: list[str]) -> None:
    assert all(matches(pattern, tool) for tool in fits)
    assert not any(matches(pattern, tool) for tool in misfits)


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True))
def test_a_name_matches_itself_and_its_own_beginnings(name: str) -> None:
    assert matches(name, name)
    assert matches(name[:1] + "*", name)
    assert matches("*" + name[-1:], name)


def test_deny_wins_and_nothing_is_allowed_by_default() -> None:
    assert rules().allows("search")
    assert not rules().allows("file_delete")
    assert "file_delete" in rules().refusal("file_delete", {})
    assert not Rules("p", (), (), {}).allows("search")
    assert not Rules("p", ("search",), ("*",), {}).allows("search")


@pytest.mark.parametrize(
    ("constraint", "fits", "misfits"),
    [
        ({"prefix": "/data/"}, ["/data/a", "/data/a..b", "/data/...", ["/data/a", "/data/b"], []],
         ["/etc/passwd", "data/a", "/data/../etc", "/data/x/..", "/data/%2e%2e/etc", "/data/%252e%252e/etc", "/data/a\\..\\b", ["/data/a", "/b"],
          1, None, {"a": 1}, True]),
        ({"enum": ["a", 1, True]}, ["a", 1, True, 1.0, ["a", 1]], ["b", 0, False, None, ["a", "b"], {}]),
        ({"enum": [1]}, [1], [True, "1"]),
        ({"min": 1, "max": 10}, [1, 10, 5.5, [2, 3]], [0, 11, "5", True, None, [5, 11], float("inf")]),
        ({"max_length": 3}, ["abc", [1, 2, 3], ""], ["abcd", [1, 2, 3, 4], 5, None, {"a": 1}]),
        ({"required": True}, [None, "a"], []),
    ],
)  # fmt: skip
def test_constraints(constraint: dict[str, Any], fits: list[Any], misfits: list[Any]) -> None:
    for value in fits:
        assert rules(path=constraint).refusal("read_file", {"path": value}) == "", value
        assert rules(path=constraint).refusal("search", {"path": value}) == ""
    for value in misfits:
        said = rules(path=constraint).refusal("read_file", {"path": value})
        assert "'path'" in said, value
        assert rules(path=constraint).refusal("search", {"path": value}) == "", "another tool"


def test_what_is_left_out_is_the_tool_s_own_default_unless_it_is_required() -> None:
    assert rules(path={"prefix": "/data/"}).refusal("read_file", {}) == ""
    assert "is given" in rules(path={"prefix": "/data/", "required": True}).refusal("read_file", {})
    assert rules(path={"required": False}).refusal("read_file", {}) == ""


def test_all_patterns_that_match_hold() -> None:
    both = Rules("p", ("*",), (), {"read_*": {"n": {"max": 10}}, "*_file": {"n": {"min": 5}}})
    assert both.refusal("read_file", {"n": 7}) == ""
    assert both.refusal("read_file", {"n": 3})
    assert both.refusal("read_file", {"n": 11})


def test_a_refusal_says_nothing_of_the_value() -> None:
    said = rules(path={"enum": ["a"]}).refusal("read_file", {"path": "s3cret"})
    assert "s3cret" not in said


# ---- in the policy file ---------------------------------------------------------------------------------------


def load(directory: Path, **texts: str) -> PolicySet:
    for name, text in texts.items():
        (directory / f"{name}.yaml").write_text(HEAD.format(name=name) + text)
    return PolicySet.load(directory, default="default", allow_unscreened=False)


ARGUMENTS = "extends: default\ntools:\n  arguments:\n    read_*: {path: {prefix: /data/, required: true}, limit: {max: 100}}\n"


def test_constraints_stand_in_the_effective_policy_and_its_digest(tmp_path: Path) -> None:
    policies = load(tmp_path, one=ARGUMENTS, same=ARGUMENTS, other=ARGUMENTS.replace("100", "101"))
    one = policies.get("one")
    assert one.tools_arguments == {
        "read_*": {"path": {"prefix": "/data/", "required": True}, "limit": {"max": 100}}
    }
    assert "prefix: /data/" in one.yaml
    assert "max: 100" in one.yaml
    assert one.digest != policies.get("other").digest
    assert Rules.of(one).refusal("read_file", {"path": "/etc"})


def test_a_file_that_extends_changes_key_by_key(tmp_path: Path) -> None:
    child = "extends: base\ntools:\n  allow: [x]\n  arguments:\n    read_*: {limit: {max: 50}}\n    write_*: {mode: {enum: [b, a]}}\n"
    grand = "extends: child\ntools:\n  arguments:\n    write_*: {mode: {enum: [c]}}\n"
    policies = load(tmp_path, base=ARGUMENTS, child=child, grand=grand)
    made = policies.get("grand").tools_arguments
    assert made == {
        "read_*": {"path": {"prefix": "/data/", "required": True}, "limit": {"max": 50}},
        "write_*": {"mode": {"enum": ["c"]}},
    }
    assert policies.get("child").tools_arguments["write_*"] == {"mode": {"enum": ["b", "a"]}}, (
        "an order of its own"
    )


@pytest.mark.parametrize(
    "text",
    ["read_*: {path: {pattern: x}}", "read_*: {path: {enum: []}}", "read_*: {path: {enum: a}}", "read_*: {path: {max: .inf}}", "read_*: {path: {max: .nan}}",
     "read_*: {path: {max: 'a'}}", "read_*: {path: {prefix: ''}}", "read_*: {path: {prefix: 5}}", "read_*: {path: {max_length: -1}}", "'a b': {path: {max: 1}}",
     "read_*: {'a b': {max: 1}}", "read_*: [path]", "read_*: {path: {required: 1}}", "read_*: {path: {enum: [[1]]}}"],
)  # fmt: skip
def test_a_constraint_that_is_not_exactly_right_refuses_the_policy(tmp_path: Path, text: str) -> None:
    with pytest.raises(SandboxdError) as caught:
        load(tmp_path, bad=f"extends: default\ntools:\n  arguments:\n    {text}\n")
    assert caught.value.code == "POLICY_INVALID"
    assert "tools.arguments" in str(caught.value)
