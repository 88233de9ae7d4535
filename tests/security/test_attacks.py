"""Must hold 1: no attack succeeds against the intact product, with and without cgroups, and nothing of one is left.

Through the real daemon with the screen off, one session an attack. A control that is taken away: `test_controls.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import golden
import pytest
from attack import Attack, own, sample
from controls import edits_of
from rig import USER, Rig, rig

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]

# Looks for cgroup files, which a box does not see at all; that limits hold is what resource/* and RES-* ask.
NOT_OF_THIS_TIER = frozenset({"CTR-014"})
ATTACKS = [one for one in (*own(), *sample()) if one.kind != "request" and one.name not in NOT_OF_THIS_TIER]


@pytest.fixture(scope="module", params=["cgroup", "none"])
def configuration(
    request: pytest.FixtureRequest, join_cgroups: Callable[[], None] | None
) -> Iterator[tuple[str, Rig]]:
    """A daemon of this user, with cgroups or without."""
    with_cgroup = request.param == "cgroup"
    edits = [] if with_cgroup else edits_of(("cgroup",))
    with rig(edits, preexec_fn=join_cgroups if with_cgroup else None) as running:
        if with_cgroup and not running.cgroups:
            reason = "no cgroup is delegated to this user here"
            pytest.fail(reason) if USER == "root" and os.environ.get("CI") else pytest.skip(reason)
        yield f"{USER}_{request.param}", running


def verdict(running: Rig, attack: Attack) -> tuple[bool, str]:
    """Return whether the attack succeeded against what is claimed, and the words for the table."""
    ran = running.run(attack)
    known = attack.known or ("" if running.cgroups else attack.known_without_cgroup)
    if not known:
        return ran.success, f"SUCCEEDS: {ran.by}" if ran.success else ran.by
    # A limitation that is documented and not there any more is a wrong document.
    return (
        not ran.success,
        f"known: {known}" if ran.success else f"documented as possible, and is not: {ran.by}",
    )


def test_no_attack_succeeds_and_nothing_is_left(configuration: tuple[str, Rig], update: bool) -> None:
    name, running = configuration
    results, succeeded, left = {}, {}, {}
    for attack in ATTACKS:
        success, results[attack.name] = verdict(running, attack)
        if success:
            succeeded[attack.name] = results[attack.name]
        if attack.expect in "CKH" and (traces := running.left()):
            left[attack.name] = traces
    assert succeeded == {}
    assert left == {}
    assert running.left() == []
    assert golden.settle(name, results, update=update) == []
