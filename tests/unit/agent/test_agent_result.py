from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
from sandboxd_client._async.agent import AsyncCodeAgent
from sandboxd_client._async.scripted_model import AsyncScriptedModel
from sandboxd_client.agent.result import AgentOutcome, AgentResult, Artifact
from sandboxd_client.models import TokenUsage
from tiny_sandbox import TinySandbox, denied

if TYPE_CHECKING:
    from pathlib import Path


def result_with(answer=None, artifacts=()) -> AgentResult:
    return AgentResult(
        task="t",
        outcome=AgentOutcome.ANSWERED,
        answer=answer,
        steps=(),
        usage=TokenUsage(),
        model="m",
        policy="p",
        policy_digest="d",
        messages=(),
        artifacts=tuple(artifacts),
    )


async def test_a_saved_run_holds_what_a_reviewer_needs(tmp_path: Path):
    sandbox = TinySandbox({"import os": denied("os may not be imported.", "", 1, 8)})
    replies = [
        "no code",
        "```python\nimport os\n```",
        "```python\nput('a.txt', b'x')\nfinal_answer([1])\n```",
    ]
    result = await AsyncCodeAgent(AsyncScriptedModel(replies), sandbox).run("Do it.")
    path = tmp_path / "run.json"
    result.save(path)
    saved = json.loads(path.read_text())
    assert os.listdir(tmp_path) == ["run.json"]
    assert saved["format"] == "sandboxd.run/v1"
    assert saved["policy"] == {"name": "tiny", "digest": "d" * 64}
    assert saved["outcome"] == "answered"
    assert saved["answer"] == [1]
    assert saved["usage"]["estimated"] is True
    assert [message["role"] for message in saved["messages"]][:3] == ["system", "user", "assistant"]
    first, second, third = saved["steps"]
    assert first["problem"] == "no_code"
    assert second["execution"]["findings"][0]["rule"] == "import-not-allowed"
    assert third["execution"]["execution_id"] == "execution-2"
    assert third["code"] == "put('a.txt', b'x')\nfinal_answer([1])"
    assert saved["artifacts"][0]["sha256"].startswith("2d711642")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_answer_outside_of_json_is_kept_as_text(tmp_path: Path):
    result_with(answer={"r": float("nan")}).save(tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text())["answer"] == "{'r': nan}"


def test_saving_replaces_a_link_and_not_its_target(tmp_path: Path):
    target = tmp_path / "target"
    target.write_text("untouched")
    (tmp_path / "run.json").symlink_to(target)
    result_with().save(tmp_path / "run.json")
    assert target.read_text() == "untouched"
    assert not (tmp_path / "run.json").is_symlink()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..", "artifact"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("a b\nc\x1b.png", "a_b_c_.png"),
        ("", "artifact"),
        ("x" * 300 + ".png", "x" * 96 + ".png"),
    ],
)
def test_a_name_from_a_sandbox_is_no_path(tmp_path: Path, name: str, written: str):
    base = tmp_path / "out"
    paths = result_with(artifacts=[Artifact(name, "x/y", 1, b"1")]).save_artifacts(base)
    assert paths == [base / written]
    assert [entry.name for entry in tmp_path.rglob("*")] == ["out", written]


def test_taken_names_are_numbered_and_unfetched_files_left_out(tmp_path: Path):
    artifacts = [Artifact("a.png", "", 1, b"1"), Artifact("d/a.png", "", 1, b"2"), Artifact("b", "", 9, None)]
    paths = result_with(artifacts=artifacts).save_artifacts(tmp_path)
    assert [(path.name, path.read_bytes()) for path in paths] == [("a.png", b"1"), ("a-2.png", b"2")]
