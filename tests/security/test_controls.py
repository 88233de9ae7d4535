"""Each control alone: taken away, a named attack succeeds; so the control is what stops it, and the harness can fail.

`--full-matrix` tries every attack against every missing control; by default the named ones are tried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import golden
import pytest
from attack import Attack
from controls import CONTROLS, Control, edits_of
from probes import PROBES
from rig import USER, NoDaemonError, Rig, rig
from test_attacks import ATTACKS

pytestmark = [pytest.mark.userns, pytest.mark.timeout(600)]

BY_NAME = {attack.name: attack for attack in ATTACKS}
# Slow, or a race: tried where they are named alone.
NAMED_ALONE = ("wake/", "resource/", "RES-", "channel/forge_and_stay")
Join = Callable[[], None] | None
# What would stay on the host when the control is gone.
UNTIDY = {"IPC namespace": frozenset({"memory/shared"})}
# What an ordinary user's jail does in another way than root's; the rest is tried for it with --full-matrix.
OF_A_USER = frozenset(
    {
        "seccomp, both filters", "Landlock", "pivot_root", "pid namespace", "mount namespace", "network namespace",
        "cgroup namespace", "cgroup", "capabilities", "pid 1 not dumpable", "hidepid", "the stop between snippets",
        "no nested user namespaces",
    }
)  # fmt: skip


def skip_what_is_another_s(control: Control, full: bool) -> None:
    if control.only not in {"", USER}:
        pytest.skip(control.why)
    if USER == "user" and not full and control.only != USER and control.name not in OF_A_USER:
        pytest.skip("the same for root and for a user: tried as root, and here with --full-matrix")


def start(off: tuple[str, ...], join: Join) -> Any:
    return rig(edits_of(off), pool=0, preexec_fn=join)


@pytest.mark.parametrize("control", CONTROLS, ids=[control.name for control in CONTROLS])
def test_without_it_its_attacks_succeed(
    control: Control, join_cgroups: Join, bait: None, full: bool, update: bool
) -> None:
    skip_what_is_another_s(control, full)
    if control.closed:
        assert not opens(control, join_cgroups)
        return
    if control.cover:
        with start(control.cover, join_cgroups) as covered:
            through = [name for name in control.attacks if covered.run(BY_NAME[name]).success]
        assert through == [], "the cover alone lets it through"
    with start((*control.cover, control.name), join_cgroups) as running:
        if control.needs_cgroup and not running.cgroups and control.name != "cgroup":
            pytest.skip("no cgroup is delegated to this user here")
        stopped = {name: failed for name in control.attacks if (failed := _stopped(running, control, name))}
        assert stopped == {}
        if control.probe:
            assert not probed(running, control.probe), "the probe sees no difference"
        if full and USER == "root":
            _try_all(running, control, update=update)
        assert running.left() == []


def _stopped(running: Rig, control: Control, name: str) -> str:
    """Return what stopped a named attack all the same, "" if it succeeded for the reason that the control names."""
    ran = running.run(BY_NAME[name])
    return "" if ran.success and control.says in ran.by else f"stopped by {ran.by}"


def probed(running: Rig, probe: str) -> bool:
    with running.sandbox() as sandbox:
        # Before a snippet too: after it pid 1 has acted with the guest's ids, which has some of these effects as well.
        at_once = PROBES[probe](running)
        sandbox.run_code("1")
        return at_once and PROBES[probe](running)


def opens(control: Control, join: Join) -> bool:
    """Tell whether a daemon without the control opens any box."""
    try:
        with start((control.name,), join) as running:
            return not running.run(BY_NAME["identity/status"]).by.startswith("no box")
    except NoDaemonError:
        return False


def _try_all(running: Rig, control: Control, *, update: bool) -> None:
    through = {one.name for one in ATTACKS if _is_tried(one, control) and _succeeds(running, one)}
    known = golden.load("controls").get("results", {})
    known[control.name] = sorted({*through, *control.attacks})
    differences = golden.settle("controls", known, update=update)
    assert [line for line in differences if line.startswith(control.name)] == []


def _is_tried(attack: Attack, control: Control) -> bool:
    alone = attack.name.startswith(NAMED_ALONE) or attack.name in UNTIDY.get(control.name, ())
    return not (alone or attack.is_static or attack.known)


def _succeeds(running: Rig, attack: Attack) -> bool:
    try:
        return running.run(attack).success
    except AssertionError:  # its second cell could not look around: such a box is none
        return False


@pytest.mark.parametrize("probe", PROBES)
def test_the_intact_product_passes_each_probe(probe: str) -> None:
    with start((), None) as running:
        assert probed(running, probe)


def test_every_named_attack_is_there() -> None:
    named = {name for control in CONTROLS for name in control.attacks}
    assert named <= BY_NAME.keys()
    assert all(control.attacks or control.probe or control.closed for control in CONTROLS)
