"""How a chain of policies says which tools a program may call."""

from __future__ import annotations

from pathlib import Path

from sandboxd.policy import PolicySet

HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"


def loaded(tmp_path: Path, **texts: str) -> PolicySet:
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(HEAD.format(name=name) + text)
    return PolicySet.load(tmp_path, default="default", allow_unscreened=True)


def test_a_child_narrows_every_tool_to_a_few(tmp_path: Path) -> None:
    policies = loaded(
        tmp_path,
        few='extends: data-science\ntools: {allow: ["search_*"], deny: ["*_delete"]}\n',
        fewer='extends: few\ntools: {deny: ["search_mail"]}\n',
        other='extends: few\ntools: {allow: ["read_*"]}\n',
    )
    assert policies.get("data-science").tools_allow == ("*",)
    assert policies.get("few").tools_allow == ("search_*",)
    assert policies.get("few").tools_deny == ("*_delete",)
    assert policies.get("fewer").tools_allow == ("search_*",)
    assert set(policies.get("fewer").tools_deny) == {"*_delete", "search_mail"}
    assert policies.get("other").tools_allow == ("read_*",)
    assert policies.get("other").tools_deny == ("*_delete",)


def test_what_extends_nothing_allows_no_tool(tmp_path: Path) -> None:
    assert loaded(tmp_path, bare="limits: {tool_calls: 5}\n").get("bare").tools_allow == ()
