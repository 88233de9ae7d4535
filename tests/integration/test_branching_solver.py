"""An agent's search: 64 branches explored by fork give the answer of a serial one that replays its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandboxd_client import Sandbox
from solver import LEAVES, by_fork, by_replay

if TYPE_CHECKING:
    from daemons import Daemon

pytestmark = pytest.mark.userns


def test_64_branches_by_fork_and_by_replay_find_the_same(daemon: Daemon) -> None:
    def open_sandbox() -> Sandbox:
        return Sandbox("unscreened", daemon.address)

    forked = by_fork(open_sandbox, 5000)
    replayed = by_replay(open_sandbox, 5000)
    assert len(forked.leaves) == LEAVES == 64
    assert len(set(forked.leaves)) == LEAVES, "every branch has its own variables and its own file"
    assert forked == replayed
