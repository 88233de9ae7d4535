"""The demonstration, as `make demo` runs it: real workbook, real daemon, real jail."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from replay_server import Reply, replaying
from sandboxd_client.demo.check import expected
from sandboxd_client.demo.script import REPLIES
from sandboxd_client.demo.workbook import packaged_csv

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]

MEASUREMENTS = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure"]


def run_demo(output: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOXD_MODEL")}
    command = [sys.executable, "-m", "sandboxd_client.demo", "--output", str(output), *arguments]
    return subprocess.run(
        command, env=environ | environment, capture_output=True, text=True, timeout=280, check=False
    )


def pearson(rows: list[dict[str, str]], name: str) -> float:
    """Correlate a column with visibility without any library: what is missing is left out pair by pair."""
    pairs = [(float(row[name]), float(row["visib"])) for row in rows if "NA" not in (row[name], row["visib"])]
    mean_x = math.fsum(x for x, _ in pairs) / len(pairs)
    mean_y = math.fsum(y for _, y in pairs) / len(pairs)
    covariance = math.fsum((x - mean_x) * (y - mean_y) for x, y in pairs)
    spread_x = math.fsum((x - mean_x) ** 2 for x, _ in pairs)
    spread_y = math.fsum((y - mean_y) ** 2 for _, y in pairs)
    return covariance / math.sqrt(spread_x * spread_y)


def read_rows() -> list[dict[str, str]]:
    with packaged_csv().open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    output = tmp_path_factory.mktemp("demo") / "demo-output"
    return output, run_demo(output)


def test_it_ends_well_and_says_where_things_are(demo):
    output, done = demo
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("correlation.png", "answer.json", "run.json"):
        assert str(output / name) in done.stdout
        assert (output / name).stat().st_size > 0
    assert (output / "correlation.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_every_figure_is_what_plain_arithmetic_and_pandas_give(demo):
    answer = json.loads((demo[0] / "answer.json").read_text())
    rows = read_rows()
    assert answer["rows"] == len(rows) == 26115
    assert set(answer["correlations"]) == set(MEASUREMENTS)
    for name, value in answer["correlations"].items():
        assert value == pytest.approx(pearson(rows, name), abs=1e-9)
        assert value == pytest.approx(expected(packaged_csv())["correlations"][name], abs=1e-9)
    strengths = [abs(value) for value in answer["correlations"].values()]
    assert strengths == sorted(strengths, reverse=True)


def test_one_snippet_fails_for_real_and_the_next_repairs_it(demo):
    steps = json.loads((demo[0] / "run.json").read_text())["steps"]
    outcomes = [step["execution"]["outcome"] for step in steps]
    assert outcomes == ["ok", "error", "ok", "ok", "ok"]
    assert "could not convert string to float: 'EWR'" in steps[1]["observation"]
    assert len({step["execution"]["execution_id"] for step in steps}) == 5


def test_the_script_holds_no_figure_of_the_answer(demo):
    answer = json.loads((demo[0] / "answer.json").read_text())
    said = "".join(REPLIES)
    for value in answer["correlations"].values():
        assert f"{abs(value):.2f}" not in said
    for name in ["26115", "26,115", *MEASUREMENTS, "EWR"]:
        assert name not in said


def test_changing_one_column_changes_the_answer(tmp_path: Path):
    rows = read_rows()[:3000]
    before = json.loads(
        (run_small(tmp_path / "a", write_table(tmp_path / "a.csv", rows)) / "answer.json").read_text()
    )
    for row in rows:
        row["pressure"] = str(1000 - float(row["visib"]))
    after = json.loads(
        (run_small(tmp_path / "b", write_table(tmp_path / "b.csv", rows)) / "answer.json").read_text()
    )
    assert next(iter(before["correlations"])) != "pressure"
    assert next(iter(after["correlations"])) == "pressure"
    assert after["correlations"]["pressure"] == pytest.approx(-1.0)
    unchanged = {name: value for name, value in before["correlations"].items() if name != "pressure"}
    assert {name: after["correlations"][name] for name in unchanged} == pytest.approx(unchanged)


def run_small(output: Path, table: Path) -> Path:
    done = run_demo(output, "--table", str(table))
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def told(text: str) -> Reply:
    """Return a model server's answer that says this text."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    chunk = json.dumps({"choices": [choice], "usage": usage})
    return Reply(chunks=[f"data: {chunk}\n\ndata: [DONE]\n\n".encode()])


def test_a_live_model_is_asked_where_one_is_named_and_its_key_is_kept_out(tmp_path: Path):
    table = write_table(tmp_path / "small.csv", read_rows()[:1000])
    with replaying(*[told(reply) for reply in REPLIES]) as replay:
        done = run_demo(
            tmp_path / "out",
            "--table",
            str(table),
            SANDBOXD_MODEL="live-model",
            SANDBOXD_MODEL_BASE_URL=replay.base_url,
            SANDBOXD_MODEL_API_KEY="sk-the-key-of-the-demo",
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert replay.requests[0].headers["Authorization"] == "Bearer sk-the-key-of-the-demo"
    saved = (tmp_path / "out" / "run.json").read_text()
    assert json.loads(saved)["model"] == "live-model"
    assert json.loads(saved)["usage"] == {"input": 500, "output": 50, "cached": 0, "estimated": False}
    assert "sk-the-key-of-the-demo" not in saved + done.stdout + done.stderr


def test_a_wrong_answer_is_called_wrong(tmp_path: Path):
    table = write_table(tmp_path / "small.csv", read_rows()[:200])
    lie = 'Done.\n```python\nfinal_answer({"rows": 1, "correlations": {"humid": 2.0}})\n```'
    with replaying(told(lie)) as replay:
        done = run_demo(
            tmp_path / "out", "--table", str(table), "--model", "liar", "--base-url", replay.base_url
        )
    assert done.returncode == 1
    assert "WRONG rows: 1 instead of 200" in done.stdout
