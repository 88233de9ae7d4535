"""Actions by rule: which names a policy may write, which actions each takes, and that layer 2 never stands alone."""

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.policy import PolicySet, json_schema
from sandboxd.policy.reading import read_source
from sandboxd.policy.rule_actions import ALWAYS_DENIED, FREE, KEYED, NEVER_RUN_HERE, SETTABLE
from sandboxd.screen.engine.catalogue import RULES

HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: p}\n"
ACTIONS = ("deny", "route", "warn", "audit", "allow")


def read(rule, action):
    return read_source("p.yaml", f"{HEAD}screen:\n  actions:\n    {rule}: {action}\n".encode()).file


def refusal(rule, action):
    with pytest.raises(SandboxdError) as caught:
        read(rule, action)
    assert caught.value.code is Code.POLICY_INVALID
    assert caught.value.metadata["line"] == "6"
    assert caught.value.metadata["key"] == f"screen.actions.{rule}"
    return caught.value


def test_every_rule_of_the_screen_is_in_exactly_one_set():
    sets = (ALWAYS_DENIED, FREE, KEYED.keys(), NEVER_RUN_HERE)
    assert set().union(*sets) == set(RULES)
    assert sum(len(one) for one in sets) == len(set().union(*sets))
    assert {name for name, rule in RULES.items() if rule.actions == {"deny"}} == ALWAYS_DENIED
    assert {name for name, rule in RULES.items() if rule.actions == {"deny", "route"}} == NEVER_RUN_HERE


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("rule", sorted(FREE))
def test_a_free_rule_takes_every_action(rule, action):
    assert read(rule, action).screen.actions == {rule: action}


@pytest.mark.parametrize("rule", sorted(NEVER_RUN_HERE))
def test_what_ends_the_analysis_never_runs_under_the_same_policy(rule):
    for action in ("deny", "route"):
        assert read(rule, action).screen.actions == {rule: action}
    for action in ("warn", "audit", "allow"):
        assert "never runs under the same policy" in refusal(rule, action).message


@pytest.mark.parametrize("rule", sorted(ALWAYS_DENIED))
def test_no_policy_softens_what_is_always_denied(rule):
    for action in ACTIONS:
        assert "always denied" in refusal(rule, action).message


@pytest.mark.parametrize(("rule", "key"), sorted(KEYED.items()))
def test_a_rule_with_a_key_of_its_own_is_set_there(rule, key):
    assert refusal(rule, "warn").remedy == f"Set screen.{key}."
    section, name = key.split(".")
    for action in ACTIONS:
        text = f"{HEAD}screen: {{{section}: {{{name}: {action}}}}}\n"
        assert getattr(getattr(read_source("p.yaml", text.encode()).file.screen, section), name) == action


def test_an_unknown_rule_is_refused_with_its_neighbours():
    assert "import-not-allowed" in refusal("import-not-alowed", "warn").remedy
    assert "import-not-allowed" in refusal("zzzzzzzzzzzzzzzzzz", "warn").remedy


@pytest.mark.parametrize("rule", ["SBX301", "Import_Star", '"import-not-allowed\\n"', '"\\u202e"', "x" * 70])
def test_what_is_no_rule_s_name_is_refused_in_one_line(rule):
    with pytest.raises(SandboxdError) as caught:
        read(rule, "warn")
    assert caught.value.message.startswith("p.yaml:6: screen.actions.")
    assert caught.value.message.endswith(": there is no such rule")
    assert caught.value.message.isprintable()
    assert "import-not-allowed" in caught.value.remedy or "import-star" in caught.value.remedy


def test_the_json_schema_lists_the_rules():
    actions = json_schema()["$defs"]["Screen"]["properties"]["actions"]
    assert set(actions["propertyNames"]["enum"]) == SETTABLE
    assert set(actions["additionalProperties"]["enum"]) == set(ACTIONS)


def load(tmp_path, **files):
    for name, body in files.items():
        text = f"apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {name}}}\n{body}"
        (tmp_path / f"{name}.yaml").write_text(text)
    return PolicySet.load(tmp_path, default="default", allow_unscreened=True)


def test_actions_reach_the_screen_and_change_the_digest(tmp_path):
    policies = load(
        tmp_path,
        base="extends: default\nscreen: {actions: {dynamic-class: warn, module-changed: audit}}\n",
        leaf="extends: base\nscreen: {actions: {dynamic-class: deny}}\n",
    )
    assert policies.get("base").screen.as_json()["actions"] == {
        "dynamic-class": "warn",
        "module-changed": "audit",
    }
    assert policies.get("leaf").screen.actions == {"dynamic-class": "deny", "module-changed": "audit"}
    assert len({policies.get(name).digest for name in ("default", "base", "leaf")}) == 3


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"p": "screen: {enabled: false}\n"}, "p.yaml:4: screen.enabled"),
        ({"p": "extends: unscreened\nrestrict:\n  enabled: true\n"}, "p.yaml:6: restrict.enabled"),
        ({"p": "extends: pure\nscreen: {enabled: false}\n"}, "p.yaml:5: screen.enabled"),
    ],
)
def test_layer_2_never_stands_without_the_screen(tmp_path, files, place):
    with pytest.raises(SandboxdError) as caught:
        load(tmp_path, **files)
    assert caught.value.code is Code.POLICY_INVALID
    assert place in caught.value.message


def test_the_floor_restricts_and_a_file_may_take_the_filter_off(tmp_path):
    policies = load(
        tmp_path, bare="", open="extends: pure\nrestrict: {enabled: false}\n", shut="extends: default\n"
    )
    assert policies.get("bare").restricted
    assert policies.get("bare").screen.restricted
    assert not policies.get("open").restricted
    assert not policies.get("shut").restricted
    assert [policies.get(name).min_tier for name in ("bare", "open", "pure")] == [
        "restricted",
        "process",
        "restricted",
    ]
