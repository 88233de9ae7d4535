"""Routes between policies: only to what is there and isolates at least as much, and executors that only get stronger."""

import dataclasses

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.policy import PolicySet

HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"


def load(directory, **files):
    for name, body in files.items():
        (directory / f"{name}.yaml").write_text(HEAD.format(name=name) + body)
    return PolicySet.load(directory, default="default", allow_unscreened=True)


def refusal(directory, **files):
    with pytest.raises(SandboxdError) as caught:
        load(directory, **files)
    assert caught.value.code is Code.POLICY_INVALID
    return caught.value.message


ROUTED = "extends: default\nscreen: {actions: {dynamic-class: route}}\nroute:\n  to: [default, %s]\n"


def test_pure_routes_what_it_does_not_have():
    pure = PolicySet.load(None, default="default", allow_unscreened=False).get("pure")
    assert pure.restricted
    assert pure.route_to == ("default", "data-science")
    assert pure.screen.actions["import-not-allowed"] == "route"
    assert dict(pure.screen.elsewhere)["pandas"] == "data-science"
    assert dict(pure.screen.elsewhere)["pathlib"] == "default", "the first route is the first hint"


def test_a_hint_knows_the_module_whose_members_another_policy_has():
    pure = PolicySet.load(None, default="default", allow_unscreened=False).get("pure")
    hints = dict(pure.screen.elsewhere)
    assert (hints["shutil"], hints["shutil.move"], hints["threading"]) == (
        "default",
        "default",
        "data-science",
    )
    assert "sys" not in hints, "pure has some of it: the member says where"
    assert hints["sys.argv"] == "default"


def test_a_restricting_policy_is_no_hint_for_others():
    default = PolicySet.load(None, default="default", allow_unscreened=False).get("default")
    assert "pure" not in dict(default.screen.elsewhere).values()


@pytest.mark.parametrize(
    ("target", "body", "fault"),
    [
        ("nowhere", "", "there is no policy 'nowhere'"),
        ("p", "", "a policy cannot be its own route"),
        ("unscreened", "", "unscreened has no screen"),
    ],
)
def test_a_route_leads_to_a_screened_policy_that_is_there(tmp_path, target, body, fault):
    message = refusal(tmp_path, p=ROUTED % target + body)
    assert f"p.yaml:7: route.to[1]: {fault}" in message


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ("isolate: {executor: runc}\n", "executor process, which isolates less than runc"),
        ("isolate: {executor: runsc}\n", "executor process, which isolates less than runsc"),
        ("isolate: {require: [landlock]}\n", "default does not require"),
        ("isolate: {fresh: true}\n", "does not demand fresh processes"),
        ("limits: {memory: {enforce: total}}\n", "does not hold the whole sandbox to its memory limit"),
    ],
)
def test_a_route_never_isolates_less(tmp_path, own, fault):
    message = refusal(tmp_path, p=ROUTED % "data-science" + own)
    assert "p.yaml:7: route.to[0]: " in message
    assert fault in message


def test_a_route_may_isolate_more(tmp_path):
    strong = "extends: data-science\nisolate: {executor: runsc, fresh: true, require: [landlock]}\n"
    policies = load(tmp_path, strong=strong, p="extends: pure\nroute: {to: [strong]}\n")
    assert policies.get("p").route_to == ("strong",)
    assert policies.get("strong").min_tier == "runsc"


def test_a_weakness_of_the_network_counts():
    policy = PolicySet.load(None, default="default", allow_unscreened=False).get("default")
    wide = dataclasses.replace(policy, name="wide", network="proxy")
    assert policy.weakness_of(wide) == "wide has the network proxy"
    assert not wide.weakness_of(wide)
    assert not wide.weakness_of(policy)


def test_a_child_replaces_the_order_and_may_end_routing(tmp_path):
    policies = load(
        tmp_path,
        turned="extends: pure\nroute: {to: [data-science, default]}\n",
        kept="extends: pure\n",
        ended=(
            "extends: pure\nroute: {to: []}\nscreen: {actions: {import-not-allowed: deny, "
            "member-not-allowed: deny, native-module: deny}}\n"
        ),
    )
    assert policies.get("turned").route_to == ("data-science", "default")
    assert policies.get("kept").route_to == ("default", "data-science")
    assert policies.get("ended").route_to == ()


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("screen: {actions: {dynamic-class: route}}\n", "screen.actions.dynamic-class"),
        ("screen: {imports: {star: route}}\n", "screen.imports.star"),
        ("screen: {attributes: {format: route}}\n", "screen.attributes.format"),
        ("screen: {text: {bidi: route}}\n", "screen.text.bidi"),
    ],
)
def test_an_action_that_leads_nowhere_is_refused(tmp_path, body, key):
    assert f"p.yaml:5: {key}: route leads nowhere" in refusal(tmp_path, p="extends: default\n" + body)


def test_the_file_that_asks_for_the_route_is_named_also_from_a_child(tmp_path):
    base = "extends: default\nscreen: {imports: {star: route}}\nroute: {to: [data-science]}\n"
    message = refusal(tmp_path, base=base, leaf="extends: base\nroute: {to: []}\n")
    assert "base.yaml:5: screen.imports.star: route leads nowhere" in message


@pytest.mark.parametrize(("before", "after"), [("runc", "process"), ("runsc", "runc"), ("runsc", "process")])
def test_no_file_takes_a_stronger_executor_back(tmp_path, before, after):
    message = refusal(
        tmp_path,
        own=f"extends: default\nisolate: {{executor: {before}}}\n",
        weak=f"extends: own\nisolate: {{executor: {after}}}\n",
    )
    assert (
        f"weak.yaml:5: isolate.executor: an ancestor demands {before}, and {after} isolates less" in message
    )


def test_restriction_and_executor_are_independent(tmp_path):
    for restrict in ("true", "false"):
        for executor in ("process", "runc", "runsc"):
            body = f"restrict: {{enabled: {restrict}}}\nisolate: {{executor: {executor}}}\n"
            policy = load(tmp_path, p=body).get("p")
            assert (policy.restricted, policy.executor) == (restrict == "true", executor)


def test_a_moved_request_asks_for_the_smaller_of_both():
    policies = PolicySet.load(None, default="default", allow_unscreened=False)
    target = policies.get("data-science")
    met = target.met({"wall_seconds": 5, "memory_bytes": 2**50, "pids": None, "grace_seconds": 0})
    assert met == {"wall_seconds": 5, "memory_bytes": target.limits.memory_bytes, "grace_seconds": 0}
    assert target.narrow(met).wall_seconds == 5.0


@pytest.mark.parametrize(
    ("base", "leaf", "place"),
    [
        # What a policy demands beyond its parent makes the parent's route too weak; its own line is not there to point at.
        (
            "route: {to: [default]}\n",
            "isolate: {fresh: true}\n",
            "base.yaml:5: route.to[0]: default does not",
        ),
        ("route: {to: [leaf]}\n", "", "base.yaml:5: route.to[0]: a policy cannot be its own route"),
    ],
)
def test_an_inherited_route_names_the_policy_that_it_does_not_suit(tmp_path, base, leaf, place):
    message = refusal(tmp_path, base="extends: default\n" + base, leaf="extends: base\n" + leaf)
    assert place in message
    assert f"(inherited by policy leaf, {tmp_path / 'leaf.yaml'})" in message


def test_a_route_named_twice_is_refused(tmp_path):
    message = refusal(tmp_path, p=ROUTED % "default")
    assert message.endswith("p.yaml:7: route.to[1]: 'default' stands here a second time")
