"""Policies resolved: the floor, chains, the shipped files, the operator's directory, narrowing."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import sandboxd.policy
from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.policy import PolicySet
from sandboxd.policy.model import LEAST_MEMORY_BYTES
from sandboxd.policy.reading import read_source

HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"


def load(directory=None, default="default", *, allow_unscreened=False):
    return PolicySet.load(directory, default=default, allow_unscreened=allow_unscreened)


@pytest.fixture
def write(tmp_path):
    def write_policy(name, body=""):
        (tmp_path / f"{name}.yaml").write_text(HEAD.format(name=name) + body)
        return tmp_path

    return write_policy


def refused(call, code):
    with pytest.raises(SandboxdError) as caught:
        call()
    assert caught.value.code is code
    return caught.value


# ---- shipped


def test_shipped_policies_are_the_top_level_folder():
    top = Path(__file__).parents[3] / "policies"
    shipped = Path(sandboxd.policy.__file__).parent / "shipped"
    assert shipped.resolve() == top
    assert {one.stem for one in top.glob("*.yaml")} == {
        "default",
        "data-science",
        "pure",
        "unscreened",
        "untrusted",
    }


def test_every_shipped_policy_describes_itself():
    policies = load(allow_unscreened=True)
    assert all(policies.get(name).description for name in policies.names())


def test_default_limits():
    policy = load().get("")
    assert policy.name == "default"
    assert policy.environment == "base"
    assert dataclasses.asdict(policy.limits) == {
        "wall_seconds": 30.0,
        "grace_seconds": 0.25,
        "cpu_seconds": 20.0,
        "memory_bytes": 512 * 2**20,
        "disk_bytes": 64 * 2**20,
        "output_bytes": 2**20,
        "pids": 64,
        "files": 4096,
        "memory_enforce": "per_process",
        "tool_calls": 100,
        "tool_bytes": 16 * 2**20,
        "tool_seconds": 60.0,
        "tool_wait_seconds": 300.0,
        "forks": 16,
    }
    assert {"seccomp", "no_new_privs", "user_namespace"} <= set(policy.require)


def test_data_science_loosens_default():
    policies = load()
    base, wide = policies.get("default"), policies.get("data-science")
    assert set(base.screen.imports_allow) < set(wide.screen.imports_allow)
    assert set(base.require) <= set(wide.require)
    assert wide.limits.memory_bytes == 2 * 2**30
    assert wide.limits.grace_seconds == base.limits.grace_seconds
    assert wide.environment == "data-science"


def test_hints_know_which_policy_allows_a_module():
    assert dict(load().get("default").screen.elsewhere)["pandas"] == "data-science"


def test_unscreened_needs_the_daemon_to_allow_it():
    policies = load()
    error = refused(lambda: policies.get("unscreened"), Code.POLICY_NOT_ALLOWED)
    assert error.failure is FailureClass.NOT_STARTED
    assert "unscreened" not in policies.names()
    refused(lambda: load(default="unscreened"), Code.POLICY_NOT_ALLOWED)
    allowed = load(allow_unscreened=True)
    assert not allowed.get("unscreened").screened
    assert "unscreened" in allowed.names()


def test_an_unknown_name_lists_the_known_ones():
    error = refused(lambda: load().get("nope"), Code.POLICY_NOT_FOUND)
    assert "data-science, default" in error.remedy
    refused(lambda: load(default="nope"), Code.POLICY_NOT_FOUND)


def test_effective_yaml_is_a_policy_that_yields_itself():
    """A reviewer can take what the daemon shows, and get that policy."""
    for name in ("default", "data-science", "pure"):
        policy = load().get(name)
        again = read_source("again.yaml", policy.yaml.encode()).file
        assert again.limits.wall == policy.limits.wall_seconds
        assert sorted(again.screen.imports.allow) == sorted(policy.screen.imports_allow)
        assert yaml.safe_load(policy.yaml)["isolate"]["require"] == list(policy.require)


# ---- the floor and chains


def test_a_policy_that_says_nothing_is_the_floor(write):
    policy = load(write("bare")).get("bare")
    assert policy.screen.nodes_allow == ()
    assert policy.screen.imports_allow == ()
    assert "eval" in policy.screen.builtins_deny
    assert policy.limits.memory_enforce == "total"
    assert policy.limits.memory_bytes == 128 * 2**20
    assert "seccomp" in policy.require
    assert policy.screened


def test_the_floor_is_at_most_every_shipped_policy(write):
    floor = load(write("bare")).get("bare")
    for name in ("default", "data-science", "pure"):
        policy = load().get(name)
        for field in (
            "wall_seconds",
            "cpu_seconds",
            "memory_bytes",
            "disk_bytes",
            "output_bytes",
            "pids",
            "files",
        ):
            assert getattr(floor.limits, field) <= getattr(policy.limits, field), field
        assert set(floor.require) <= set(policy.require)


def test_a_chain_adds_and_takes_out(write):
    write(
        "mid",
        "extends: default\nscreen: {imports: {deny: [math]}, builtins: {allow: [vars], deny: [input]}}\n",
    )
    directory = write(
        "leaf", "extends: mid\nscreen: {imports: {allow: [math, os.getpid]}}\nlimits: {wall: 5s}\n"
    )
    mid, leaf = load(directory).get("mid"), load(directory).get("leaf")
    assert "math" not in mid.screen.imports_allow
    assert "math" in mid.screen.imports_deny
    assert "vars" not in mid.screen.builtins_deny
    assert "input" in leaf.screen.builtins_deny
    assert "math" in leaf.screen.imports_allow
    assert "math" not in leaf.screen.imports_deny
    assert "os.getpid" in leaf.screen.imports_allow
    assert (leaf.limits.wall_seconds, leaf.limits.cpu_seconds) == (5.0, 20.0)


def test_no_file_can_drop_a_protection(write):
    policy = load(write("weak", "extends: default\nisolate: {require: [landlock]}\n")).get("weak")
    assert set(load().get("default").require) | {"landlock"} == set(policy.require)


def test_a_demand_for_fresh_processes_stays(write):
    write("own", "extends: default\nisolate: {fresh: true}\n")
    policies = load(write("child", "extends: own\nlimits: {wall: 1s}\n"))
    assert [policies.get(name).fresh for name in ("default", "own", "child")] == [False, True, True]
    assert yaml.safe_load(policies.get("child").yaml)["isolate"]["fresh"] is True
    assert policies.get("child").digest != policies.get("own").digest
    assert load(write("plain", "extends: default\nisolate: {fresh: false}\n")).get("plain").fresh is False


def test_a_demand_for_fresh_processes_cannot_be_taken_back(write):
    write("own", "extends: default\nisolate: {fresh: true}\n")
    directory = write("weak", "extends: own\nisolate: {fresh: false}\n")
    error = refused(lambda: load(directory), Code.POLICY_INVALID)
    assert "weak.yaml:5: isolate.fresh: an ancestor demands fresh processes" in error.message


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "b"}])
def test_a_circle_is_refused(write, parents):
    for name, parent in parents.items():
        directory = write(name, f"extends: {parent}\n")
    error = refused(lambda: load(directory), Code.POLICY_INVALID)
    assert "does not end" in error.message
    assert error.metadata["key"] == "extends"


def test_a_missing_parent_is_refused(write):
    error = refused(lambda: load(write("a", "extends: nope\n")), Code.POLICY_INVALID)
    assert "a.yaml:4: extends: there is no policy 'nope'" in error.message
    assert "default" in error.remedy


# ---- digests


def test_a_digest_names_the_effect(write):
    plain = load(write("a", "extends: default\n# a comment\n")).get("a").digest
    assert load(write("a", "extends: default\n")).get("a").digest == plain
    assert load(write("a", "extends: default\nlimits: {wall: 30s}\n")).get("a").digest == plain
    assert load(write("a", "extends: default\nlimits: {wall: 29s}\n")).get("a").digest != plain
    assert load(write("a", "extends: default\nscreen: {imports: {allow: [gc]}}\n")).get("a").digest != plain
    assert len(plain) == 64


# ---- the directory


def test_shipped_names_are_taken(write):
    assert "taken" in refused(lambda: load(write("default")), Code.POLICY_INVALID).message


def test_a_policy_stands_in_the_file_of_its_name(write):
    directory = write("a")
    (directory / "a.yaml").rename(directory / "b.yaml")
    assert "stands in b.yaml" in refused(lambda: load(directory), Code.POLICY_INVALID).message


@pytest.mark.parametrize("name", ["a.yml", "dir.yaml"])
def test_what_would_be_ignored_is_refused(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name.startswith("dir") else path.write_text("")
    assert name in refused(lambda: load(tmp_path), Code.POLICY_INVALID).message


def test_other_files_are_left_alone(write):
    directory = write("a")
    (directory / "README.md").write_text("notes")
    (directory / ".a.yaml.swp").write_text("draft")
    assert "a" in load(directory).names()


def test_no_directory_is_a_mistake_of_the_configuration(tmp_path):
    refused(lambda: load(tmp_path / "nope"), Code.CONFIG_INVALID)


# ---- narrowing


def test_a_request_narrows():
    policy = load().get("default")
    limits = policy.narrow({"wall_seconds": 5, "memory_bytes": 2**28, "grace_seconds": 0, "pids": None})
    assert (limits.wall_seconds, limits.memory_bytes, limits.grace_seconds) == (5.0, 2**28, 0.0)
    assert limits.pids == policy.limits.pids
    assert policy.narrow({}) == policy.limits


@pytest.mark.parametrize(
    "wanted", [{"wall_seconds": 30.5}, {"pids": 65}, {"memory_bytes": 2**40}, {"grace_seconds": 1}]
)
def test_a_request_never_widens(wanted):
    error = refused(lambda: load().get("default").narrow(wanted), Code.LIMIT_ABOVE_POLICY)
    assert error.metadata["limit"] == next(iter(wanted))
    assert error.failure is FailureClass.NOT_STARTED


@pytest.mark.parametrize(
    "wanted",
    [
        {"wall": 1},
        {"memory_enforce": 1},
        {"wall_seconds": 0},
        {"wall_seconds": -1},
        {"wall_seconds": float("nan")},
        {"wall_seconds": float("inf")},
        {"pids": True},
        {"pids": 1.5},
        {"pids": "1"},
        {"pids": 0},
        {"grace_seconds": -0.1},
        {"memory_bytes": 1},
        {"memory_bytes": 16 * 2**20 - 1},
    ],
)
def test_what_is_no_limit(wanted):
    refused(lambda: load().get("default").narrow(wanted), Code.INVALID_REQUEST)


def test_the_least_memory_of_a_request_is_the_least_of_a_policy(write):
    assert load().get("default").narrow({"memory_bytes": LEAST_MEMORY_BYTES}).memory_bytes == 16 * 2**20
    small = load(write("small", "limits: {memory: {max: 16MiB}}")).get("small")
    assert small.narrow({"memory_bytes": 16 * 2**20}) == small.limits
    refused(lambda: load(write("tiny", "limits: {memory: {max: 15MiB}}")), Code.POLICY_INVALID)


POLICY = load().get("default")
FIELDS = (
    "wall_seconds",
    "grace_seconds",
    "cpu_seconds",
    "memory_bytes",
    "disk_bytes",
    "output_bytes",
    "pids",
    "files",
)


@given(
    st.dictionaries(
        st.sampled_from(FIELDS), st.one_of(st.none(), st.integers(-5, 2**40), st.floats(-1, 1e12))
    )
)
def test_whatever_is_asked_nothing_gets_larger(wanted):
    try:
        limits = POLICY.narrow(wanted)
    except SandboxdError:
        return
    assert all(getattr(limits, name) <= getattr(POLICY.limits, name) for name in FIELDS)
