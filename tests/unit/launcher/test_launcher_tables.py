"""Small decisions of the launcher: why a guest died, who is who on the host, what a box sees of the host."""

from __future__ import annotations

import signal
from pathlib import PurePath
from types import SimpleNamespace

import pytest

from sandboxd.environments import load_environments
from sandboxd.environments.model import Environment
from sandboxd.launcher import idmaps
from sandboxd.launcher.death import explain
from sandboxd.launcher.layout import layout
from sandboxd.launcher.meter import Reading


def ended(cause: str, code: str = "") -> SimpleNamespace:
    return SimpleNamespace(cause=cause, code=code)


def exited(code: int) -> int:
    return code << 8


CASES = [
    # wait status, what the launcher did, oom kills -> cause, source, code
    (exited(0), ended(""), 0, ("", "waitpid", "exit:0")),
    (exited(3), ended(""), 0, ("", "waitpid", "exit:3")),
    (exited(255), None, 0, ("", "waitpid", "exit:255")),
    (signal.SIGSEGV, ended(""), 0, ("crashed", "waitpid", "SIGSEGV")),
    (signal.SIGSEGV | 0x80, ended(""), 0, ("crashed", "waitpid", "SIGSEGV")),
    (signal.SIGSYS, ended(""), 0, ("crashed", "waitpid", "SIGSYS")),
    (signal.SIGKILL, ended(""), 0, ("killed", "waitpid", "SIGKILL")),
    (signal.SIGKILL, ended(""), 2, ("oom", "cgroup", "oom_kill")),
    (signal.SIGKILL, ended("timeout_wall"), 0, ("timeout_wall", "deadline", "")),
    (signal.SIGKILL, ended("timeout_cpu"), 0, ("timeout_cpu", "cpu clock", "")),
    (signal.SIGKILL, ended("output_limit"), 0, ("output_limit", "output", "")),
    (signal.SIGKILL, ended("cancelled", "client"), 0, ("cancelled", "request", "client")),
    (signal.SIGKILL, ended("killed", "operator"), 0, ("killed", "request", "operator")),
    # The launcher's own act comes first: the memory it freed by killing is no cause.
    (signal.SIGKILL, ended("timeout_wall"), 1, ("timeout_wall", "deadline", "")),
    (signal.SIGKILL, None, 0, ("killed", "waitpid", "SIGKILL")),
]


@pytest.mark.parametrize(("status", "execution", "oom_kills", "wanted"), CASES)
def test_death_is_explained_by_evidence(status, execution, oom_kills, wanted):
    death = explain(int(status), execution, Reading(oom_kills=oom_kills))
    assert (death.cause, death.source, death.code) == wanted


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, signal.SIGSEGV, signal.SIGRTMIN, 32, 33, 40, signal.SIGRTMAX]
)
def test_death_by_any_signal_is_explained(number):
    death = explain(int(number), None, None)
    assert death.cause == "crashed"
    assert death.code


def test_oom_needs_a_measurement():
    assert explain(signal.SIGKILL, ended(""), Reading(oom_kills=None)).cause == "killed"


# ---- ids ----------------------------------------------------------------------------------------------------------


def test_slots_never_overlap():
    used: set[int] = set()
    for slot in range(idmaps.SLOTS):
        base = idmaps.slot_base("ab12", slot)
        assert used.isdisjoint({base, base + 1})
        used |= {base, base + 1}


@pytest.mark.parametrize("instance", ["", "00000000", "ffffffff", "a" * 100])
def test_ids_are_above_every_range_in_use_and_below_the_signed_limit(instance):
    last = idmaps.slot_base(instance, idmaps.SLOTS - 1) + 1
    assert 1_879_048_191 < idmaps.slot_base(instance, 0) < last < 2**31


# ---- layout -------------------------------------------------------------------------------------------------------


def environment(base, **changed: object) -> Environment:
    values = {name: getattr(base, name) for name in base.__dataclass_fields__}
    return Environment(**(values | changed))


@pytest.fixture
def base(tmp_path) -> Environment:
    return load_environments(tmp_path)["base"]


def inside(path: str, parent: str) -> bool:
    return PurePath(parent) in PurePath(path).parents


def test_no_bind_lies_inside_another(base):
    # Its mount point could not be made: the outer one is read-only by then.
    for site in (None, "/usr/share", f"{base.base_prefix}/lib"):
        targets = [target for _, target in layout(environment(base, site_packages=site))["binds"]]
        assert not [(a, b) for a in targets for b in targets if inside(a, b)]
        assert len(targets) == len(set(targets))


def test_binds_are_few_and_none_is_a_whole_tree(base):
    sources = {source for source, _ in layout(base)["binds"]}
    assert not sources & {
        "/",
        "/usr",
        "/etc",
        "/home",
        "/root",
        "/var",
        "/dev",
        "/proc",
        "/sys",
        "/usr/bin",
        "/usr/lib",
        base.base_prefix,
    }


def test_the_interpreter_s_own_packages_are_covered(base):
    built = layout(base)
    targets = [target for _, target in built["binds"]]
    for cover in built["covers"]:
        assert any(inside(cover, target) for target in targets), "a cover needs a place that exists"
        assert cover.endswith(("site-packages", "dist-packages"))


def test_files_hold_nothing_of_this_host(base):
    files = layout(base)["files"]
    assert set(files) == {
        "/etc/passwd",
        "/etc/group",
        "/etc/hosts",
        "/etc/hostname",
        "/etc/nsswitch.conf",
        "/etc/resolv.conf",
    }
    assert all(
        line.split(":")[0] in {"root", "sandbox", "nobody"} for line in files["/etc/passwd"].splitlines()
    )
