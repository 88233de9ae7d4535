"""The policy `pure` and the table of facades agree: what the screen lets through is there, and what is there is let through."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sandboxd.errors import SandboxdError
from sandboxd.guest.restricted import facades
from sandboxd.guest.restricted.facades.tables import TABLE
from sandboxd.policy import PolicySet
from sandboxd.restrict import compile_program, names
from sandboxd.screen.engine.rules import Modules

pytestmark = pytest.mark.hardens

PURE = PolicySet.load(None, default="default", allow_unscreened=False).get("pure")
MODULES = Modules(list(PURE.screen.imports_allow), list(PURE.screen.imports_deny))


def listed(module: str) -> set[str]:
    """Return every member that the table has of a module, on any Python."""
    entry = TABLE[module]
    return {
        *entry.members.split(),
        *entry.sealed.split(),
        *entry.wrapped,
        *entry.dynamic,
        *entry.children.split(),
    }


def split(path: str) -> tuple[str, str]:
    """Return the longest module of a path that has a facade, and the member after it."""
    module, _, member = path.rpartition(".")
    return (path, "") if path in facades.NAMES else (module, member)


@pytest.mark.parametrize("path", PURE.screen.imports_allow)
def test_what_pure_allows_has_a_facade(path: str) -> None:
    module, member = split(path)
    assert module in facades.NAMES
    assert not member or member in listed(module)


@pytest.mark.parametrize("name", sorted(facades.NAMES))
def test_every_facade_can_be_imported_under_pure(name: str) -> None:
    assert MODULES.module_allowed(name) or MODULES.leads_to_members(name)


@pytest.mark.parametrize("path", PURE.screen.imports_deny)
def test_what_pure_denies_is_what_a_facade_leaves_out(path: str) -> None:
    """So that it is refused before it runs, and a one-shot moves to where it is."""
    module, member = split(path)
    assert member
    assert member not in listed(module)
    assert not MODULES.member_allowed(path)


@pytest.mark.parametrize("name", sorted(facades.NAMES))
def test_what_a_facade_has_the_screen_lets_through(name: str) -> None:
    if MODULES.module_allowed(name):
        assert {member for member in listed(name) if not MODULES.member_allowed(f"{name}.{member}")} == set()


def confined(tmp_path: Path, body: str) -> PolicySet:
    (tmp_path / "p.yaml").write_text(f"apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: p}}\n{body}")
    return PolicySet.load(tmp_path, default="p", allow_unscreened=False, facades=facades.NAMES)


@pytest.mark.parametrize(
    "pattern", ["numpy", "numpy.*", "pathlib.Path", "pathlib", "xml.etree.ElementTree", "socket"]
)
def test_a_policy_that_restricts_cannot_let_in_what_has_no_facade(tmp_path: Path, pattern: str) -> None:
    body = f"extends: pure\nscreen:\n  imports:\n    allow:\n      - math\n      - {pattern}\n"
    with pytest.raises(SandboxdError) as caught:
        confined(tmp_path, body)
    assert f"p.yaml:9: screen.imports.allow[1]: {pattern!r} has no facade" in caught.value.message
    assert confined(tmp_path, body + "restrict: {enabled: false}\n").get("p").restricted is False


def test_what_a_restricting_policy_inherits_is_cut_to_what_has_a_facade(tmp_path: Path) -> None:
    policies = confined(tmp_path, "extends: data-science\nrestrict: {enabled: true}\n")
    policy, parent = policies.get("p"), policies.get("data-science")
    assert {"math", "urllib.parse", "collections.abc.*", "io.StringIO"} <= set(policy.screen.imports_allow)
    assert not {"numpy.*", "shutil.move", "pathlib", "sqlite3"} & set(policy.screen.imports_allow)
    assert "numpy.*" in parent.screen.imports_allow
    assert dict(policy.screen.elsewhere)["numpy"] == "data-science", "and the hint says where it may run"


def test_nothing_is_cut_from_pure() -> None:
    whole = PolicySet.load(None, default="pure", allow_unscreened=False, facades=facades.NAMES).get("pure")
    assert (whole.digest, whole.screen) == (PURE.digest, PURE.screen)


def test_the_screen_and_layer_2_know_the_same_names() -> None:
    """A dunder that one lets through and the other refuses would be a hint that leads nowhere."""
    known = (
        names.METHODS | names.LABELS | names.ERRORS | names.READABLE | names.BOOKKEEPING | names.CLASS_FACTS
    )
    assert set(PURE.screen.attributes_allow) == known


@pytest.mark.parametrize("name", sorted(names.ABSENT_BUILTINS))
def test_what_layer_2_lacks_it_refuses_where_the_builtin_is_meant(name: str) -> None:
    """So the screen need not: a parameter may be called `input`."""
    for source, refused in (
        (f"{name}()", True),
        (f"def f({name}): return {name}\nf(1)", name == "__import__"),
    ):
        assert bool(compile_program(source, ast.parse(source)).refusals) is refused
