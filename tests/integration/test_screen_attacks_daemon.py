"""Our attacks on filters, through the real daemon: denied by rule under `default`, without effect under `pure`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sandboxd_client import Outcome, Sandbox

if TYPE_CHECKING:
    from daemons import Daemon

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]

FILE = Path(__file__).parents[1] / "corpus" / "screen_attacks.jsonl"
ATTACKS = [json.loads(line) for line in FILE.read_text().splitlines()]


def test_each_is_denied_by_its_rule_and_none_of_it_runs(daemon: Daemon) -> None:
    with Sandbox("default", daemon.address) as sandbox:
        for attack in ATTACKS:
            done = sandbox.run_code("print('before')\n" + attack["code"])
            assert done.outcome is Outcome.DENIED, attack["id"]
            assert done.evidence.code == attack["rules"]["default"], attack["id"]
            assert not done.logs.stdout


def test_what_the_restricting_policy_lets_start_reaches_nothing(daemon: Daemon) -> None:
    started = []
    with Sandbox("pure", daemon.address) as sandbox:
        for attack in ATTACKS:
            done = sandbox.run_code(attack["code"])
            assert done.outcome in {Outcome.DENIED, Outcome.ERROR, Outcome.OK}, attack["id"]
            assert "ESCAPED" not in done.stdout, attack["id"]
            if done.outcome is not Outcome.DENIED:
                started.append(attack["rules"]["default"])
        assert (
            sandbox.run_code("import json\nprint(json.dumps([1]))").stdout == "[1]\n"
        )  # nothing is left of them
    assert set(started) <= {"dynamic-attribute", "dynamic-format"}
