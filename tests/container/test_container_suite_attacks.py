"""Must hold 2: attacks on the limits of processes and containers, in containers, judged as tests/security judges them."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from borrowed import Shifted
from daemons import Daemon, StartDaemon
from engine import OwnEngine

sys.path.append(str(Path(__file__).parents[1] / "security"))
import rig
from attack import sample

pytestmark = pytest.mark.timeout(600)
LAYERS = {"process", "container"}
SETTLE_SECONDS = 20.0


class ContainerRig(rig.Rig):
    """Attacks by the rig of the jail's tests, in a daemon whose sessions are containers."""

    def __init__(self, daemon: Daemon, engine: OwnEngine) -> None:
        self.daemon = daemon
        self._engine = engine
        self._before = self._there()
        self._host = rig._host()

    def _there(self) -> list[str]:
        return self._engine.containers()

    def left(self) -> list[str]:
        """Return what is there on the host that was not there before."""
        until = time.monotonic() + SETTLE_SECONDS
        while left := sorted(set(self._there()) - set(self._before)):
            if time.monotonic() > until:
                break
            time.sleep(0.1)
        host = rig._host()
        return [*left, *(f"host: {name}" for name, value in host.items() if self._host[name] != value)]


ITEMS = [one for one in sample() if one.layer in LAYERS and one.kind == "resource"]
# A process limit ends the whole container there, and the outcome says so; a bomb may meet the memory limit first, since five
# threads of the host are allowed for each process (SECURITY.md, Limitations).
ALSO_IN_GVISOR = {"RES-001": {"killed", "oom"}}


@pytest.fixture(scope="module")
def attacked(start_module_daemon: StartDaemon, engine: OwnEngine) -> ContainerRig:
    # What waits in a pool would look like something that is left.
    daemon = start_module_daemon("--allow-unscreened", "--container-pool", "0", "--pool-size", "0")
    assert not daemon.error, daemon.error
    return ContainerRig(daemon, engine)


def test_no_attack_on_a_limit_succeeds_and_nothing_is_left(attacked: ContainerRig, shifted: Shifted) -> None:
    succeeded = {}
    for attack in ITEMS:
        also = (
            ALSO_IN_GVISOR[attack.name]
            if shifted.runtime == "runsc" and attack.name in ALSO_IN_GVISOR
            else set()
        )
        ran = attacked.run(replace(attack, outcomes=attack.outcomes | also))
        if ran.success:
            succeeded[attack.name] = ran.by
    assert succeeded == {}
    assert attacked.left() == []
