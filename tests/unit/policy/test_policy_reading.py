"""Policy files: every refusal names file, line, key path and what is allowed."""

import json

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.policy import json_schema
from sandboxd.policy.reading import read_source
from sandboxd.policy.schema import PolicyFile
from sandboxd.policy.units import DURATION_PATTERN

HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: p}\n"


def refusal(text):
    with pytest.raises(SandboxdError) as caught:
        read_source("dir/p.yaml", text.encode())
    assert caught.value.code is Code.POLICY_INVALID
    return caught.value


def test_reads_a_whole_policy():
    text = HEAD + (
        "extends: default\n"
        "screen:\n  imports: {allow: [math, 'numpy.*']}\n  builtins: {deny: [input]}\n"
        "isolate: {require: [landlock], network: none}\n"
        "limits: {wall: 2m, memory: {max: 1GiB, enforce: total}, pids: 5}\n"
    )
    file = read_source("p.yaml", text.encode()).file
    assert file.limits.wall == 120.0
    assert file.limits.memory.max == 2**30
    assert file.screen.imports.allow == ["math", "numpy.*"]


@pytest.mark.parametrize(
    ("body", "line", "key", "said", "allowed"),
    [
        ("limits: {wal: 30s}\n", 4, "limits.wal", "unknown key", "wall"),
        (
            "limits:\n  memory:\n    maximum: 1GiB\n",
            6,
            "limits.memory.maximum",
            "unknown key",
            "max, enforce",
        ),
        ("plugins: {allow: []}\n", 4, "plugins", "unknown key", "limits"),
        ("limits: {wall: 30}\n", 4, "limits.wall", "no such quantity", "ms, s, m, h"),
        ("limits: {wall: 48h}\n", 4, "limits.wall", "less than or equal", ""),
        ("limits: {memory: {max: 1GB}}\n", 4, "limits.memory.max", "no such quantity", "GiB"),
        ("limits: {memory: {enforce: soft}}\n", 4, "limits.memory.enforce", "allowed values", "per_process"),
        ("limits: {pids: '64'}\n", 4, "limits.pids", "integer", ""),
        ("limits: {pids: true}\n", 4, "limits.pids", "integer", ""),
        ("limits: {pids: 0}\n", 4, "limits.pids", "greater than or equal", ""),
        ("limits: 5\n", 4, "limits", "mapping", "wall"),
        ("isolate: {executor: docker}\n", 4, "isolate.executor", "allowed values", "process"),
        ("isolate: {fresh: yes please}\n", 4, "isolate.fresh", "valid boolean", ""),
        ("isolate: {fresh: 1}\n", 4, "isolate.fresh", "valid boolean", ""),
        ("isolate: {network: full}\n", 4, "isolate.network", "allowed values", "none"),
        (
            "isolate:\n  require:\n    - seccomp\n    - selinux\n",
            7,
            "isolate.require[1]",
            "allowed values",
            "landlock",
        ),
        (
            "screen: {nodes: {allow: ['@everything']}}\n",
            4,
            "screen.nodes.allow[0]",
            "allowed values",
            "@core",
        ),
        ("screen: {imports: {allow: ['*']}}\n", 4, "screen.imports.allow[0]", "pattern", ""),
        ("screen: {imports: {allow: ['os.*.path']}}\n", 4, "screen.imports.allow[0]", "pattern", ""),
        ("screen: {imports: {allow: math}}\n", 4, "screen.imports.allow", "list", ""),
        ("screen: {enabled: 'false'}\n", 4, "screen.enabled", "boolean", ""),
        ("screen: {text: {bidi: ignore}}\n", 4, "screen.text.bidi", "allowed values", "deny"),
        (
            "screen: {imports: {allow: [os], deny: [os]}}\n",
            4,
            "screen.imports.deny[0]",
            "both allowed and denied",
            "",
        ),
        ("extends: Default\n", 4, "extends", "pattern", ""),
    ],
)
def test_refuses(body, line, key, said, allowed):
    error = refusal(HEAD + body)
    assert error.message.startswith(f"dir/p.yaml:{line}: {key}: ")
    assert said in error.message
    assert allowed in error.remedy
    assert error.metadata == {"file": "dir/p.yaml", "line": str(line), "key": key}


@pytest.mark.parametrize("text", ["- a\n", "text\n", "5\n"])
def test_refuses_what_is_no_mapping(text):
    assert "mapping" in refusal(text).message


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("kind: Policy\nmetadata: {name: p}\n", "apiVersion"),
        ("apiVersion: sandboxd/v2\nkind: Policy\nmetadata: {name: p}\n", "apiVersion"),
        ("apiVersion: sandboxd/v1\nkind: StaticPolicy\nmetadata: {name: p}\n", "kind"),
        ("apiVersion: sandboxd/v1\nkind: Policy\n", "metadata"),
        ("apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: ../etc}\n", "metadata.name"),
    ],
)
def test_the_head_is_checked(text, key):
    assert refusal(text).metadata["key"] == key


def test_names_further_errors():
    message = refusal(HEAD + "limits: {wal: 1s, cpu: 1}\nscreens: {}\n").message
    assert "limits.wal" in message
    assert "limits.cpu" in message
    assert "screens" in message


def test_a_yaml_problem_names_the_place():
    error = refusal(HEAD + "limits: {wall: 30s, wall: 31s}\n")
    assert error.message.startswith("dir/p.yaml:4: limits.wall: duplicate key")


def test_hostile_values_do_not_enter_the_message():
    assert "SECRET" not in refusal(HEAD + f"limits: {{pids: '{'SECRET' * 10}'}}\n").message


def test_json_schema_matches_the_models():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {one.alias or name for name, one in PolicyFile.model_fields.items()}
    assert schema["$defs"]["LimitsSection"]["properties"]["wall"]["pattern"] == DURATION_PATTERN
    assert '"null"' not in json.dumps(schema)
    assert all(one["additionalProperties"] is False for one in schema["$defs"].values())
