"""What a policy demands in each tier."""

from __future__ import annotations

from pathlib import Path

from sandboxd.policy import PolicySet

HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"


def loaded(tmp_path: Path, **texts: str) -> PolicySet:
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(HEAD.format(name=name) + text)
    return PolicySet.load(tmp_path, default="default", allow_unscreened=True)


def test_untrusted_demands_a_kernel_of_its_own_and_memory_in_total() -> None:
    policy = PolicySet.load(None, default="default", allow_unscreened=False).get("untrusted")
    assert policy.executor == "runsc"
    assert policy.limits.memory_enforce == "total"
    default = PolicySet.load(None, default="default", allow_unscreened=False).get("default")
    assert set(policy.require) > set(default.require)
    assert default.weakness_of(policy) == ""
    assert policy.weakness_of(default) != ""


def test_runc_does_not_inherit_a_user_namespace_and_can_demand_one(tmp_path: Path) -> None:
    policies = loaded(
        tmp_path,
        plain="extends: default\nisolate: {executor: runc}\n",
        remapped="extends: default\nisolate: {executor: runc, require: [user_namespace]}\n",
        below="extends: remapped\n",
    )
    default = policies.get("default")
    assert set(default.require) - set(policies.get("plain").require) == {"user_namespace"}
    assert "user_namespace" in policies.get("remapped").require
    assert "user_namespace" in policies.get("below").require
    assert default.weakness_of(policies.get("plain")) == ""
