"""The README is true: its programs run, its commands exist, its table is the table."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sandboxd.cli.command_line import COMMANDS, build_parser
from sandboxd.cli.exit_codes import Exit
from sandboxd.config import parse_arguments, settings_table
from sandboxd.policy import PolicySet

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line) for line in lines]


def test_there_is_one_of_each() -> None:
    assert len(blocks("python")) >= 2
    assert len(blocks("yaml")) == 1
    assert {words[0] for words in commands()} <= {"pip", "sandboxd"}


@pytest.mark.userns
@pytest.mark.parametrize("program", blocks("python"))
def test_programs_run(program: str, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"285 \['hello\\n'\] ok|5050", answer.stdout)


@pytest.mark.parametrize("words", [words for words in commands() if words[0] == "sandboxd"])
def test_commands_parse(words: list[str]) -> None:
    if words[1] == "serve":
        parse_arguments(words[2:])
    else:
        build_parser(words[1]).parse_args(words[1:])


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (TOP / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^    make (\w+)", README, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_the_policy_loads(tmp_path: Path) -> None:
    (tmp_path / "reports.yaml").write_text(blocks("yaml")[0])
    policy = PolicySet.load(tmp_path, default="default", allow_unscreened=False).get("reports")
    assert policy.limits.wall_seconds == 10
    assert policy.environment == "data-science"


def test_the_table_of_settings_is_the_daemons() -> None:
    assert settings_table() in README, "paste the output of sandboxd.config.settings_table()"


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (TOP / link).exists()] == []


def test_exit_codes_are_the_commands() -> None:
    said = re.search(r"Exit codes: (.*?)\.\n", README, re.DOTALL)
    assert said
    assert [int(number) for number in re.findall(r"(?:^|, |,\n)(\d+) ", said[1])] == sorted(Exit)


def test_every_command_is_shown() -> None:
    shown = {words[1] for words in commands() if words[0] == "sandboxd"}
    assert shown == set(COMMANDS)
