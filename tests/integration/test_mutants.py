"""The daemon that a mutant starts is really the changed one, in every process of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mutants import REQUIRE_NOTHING, Edit, make_mutant
from sandboxd_client import NotStartedError, Sandbox

if TYPE_CHECKING:
    from daemons import StartDaemon

_NO_FILTERS = (
    Edit("jail/lockdown.py", 'kernel.load_seccomp(order["guest_filter"])', "pass"),
    Edit("jail/supervisor.py", 'kernel.load_seccomp(self.config["supervisor_filter"])', "pass"),
)
_STATUS = "print([line for line in open('/proc/self/status') if line.startswith('Seccomp:')])"


@pytest.mark.userns
def test_a_mutant_runs_without_the_removed_control(start_daemon: StartDaemon, short_dir: Path) -> None:
    tree = make_mutant(short_dir / "tree", [*_NO_FILTERS, REQUIRE_NOTHING])
    daemon = start_daemon("--allow-unscreened", tree=tree)
    assert not daemon.error, daemon.error
    with Sandbox(address=daemon.address, policy="unscreened") as sandbox:
        execution = sandbox.run_code(_STATUS)
    assert execution.logs.stdout == ["['Seccomp:\\t0\\n']\n"], execution


@pytest.mark.userns
def test_what_a_policy_requires_is_looked_for_not_assumed(start_daemon: StartDaemon, short_dir: Path) -> None:
    daemon = start_daemon("--allow-unscreened", tree=make_mutant(short_dir / "tree", _NO_FILTERS))
    with (
        pytest.raises(NotStartedError, match=r"PROTECTION_MISSING: .*seccomp: 0 filters"),
        Sandbox(address=daemon.address, policy="unscreened"),
    ):
        pass


def test_an_edit_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 times"):
        make_mutant(tmp_path, [Edit("jail/lockdown.py", "no such line", "")])
