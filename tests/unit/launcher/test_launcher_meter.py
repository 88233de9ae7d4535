"""The counters of a box, read from files with the names and texts of v1 and v2."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from sandboxd.launcher.cgroups import Cgroup
from sandboxd.launcher.meter import PEAKS, Meter, Reading

V1 = {
    "memory.max_usage_in_bytes": "4096\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "pids.events": "max 2\n",
    "cpuacct.usage": "1500000000\n",
}
V2 = {
    "memory.peak": "4096\n",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n",
    "pids.events": "max 2\n",
    "cpu.stat": "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n",
}


def leaf(directory: Path, version: int) -> Cgroup:
    for name, text in (V1 if version == 1 else V2).items():
        (directory / name).write_text(text)
    names = ("memory", "pids", "cpu")
    return Cgroup(dict.fromkeys(names, directory), dict.fromkeys(names, version))


@pytest.mark.parametrize("version", [1, 2])
def test_every_counter_is_read(tmp_path: Path, version: int) -> None:
    cgroup = leaf(tmp_path, version)
    reading = Meter(cgroup.counters()).read()
    assert (reading.cpu_seconds, reading.memory_peak_bytes) == (1.5, 4096)
    assert (reading.oom_kills, reading.pids_refused) == (1, 2)
    assert reading.sources["cpu_seconds"] == "cgroup"


def test_what_is_told_is_the_growth_and_the_new_peak(tmp_path: Path) -> None:
    cgroup = leaf(tmp_path, 1)
    meter = Meter(cgroup.counters())
    before = meter.begin()
    assert (tmp_path / "memory.max_usage_in_bytes").read_text().startswith("0"), "a new peak was begun"
    (tmp_path / "memory.max_usage_in_bytes").write_text("777\n")
    (tmp_path / "cpuacct.usage").write_text("1750000000\n")
    (tmp_path / "pids.events").write_text("max 2\n")
    used = meter.read().since(before, 0.5)
    assert used.usage() == {
        "cpu_seconds": 0.25,
        "wall_seconds": 0.5,
        "memory_peak_bytes": 777,
        "sources": {
            "cpu_seconds": "cgroup",
            "memory_peak_bytes": "cgroup",
            "wall_seconds": "daemon clock",
        },
    }
    assert used.limits_hit() == []


def test_a_peak_of_all_times_is_an_execution_s_own_only_if_it_grew(tmp_path: Path) -> None:
    # v2 before 6.12: nobody may write to the file. Root can open it for writing all the same, and fails then.
    cgroup, peak = leaf(tmp_path, 2), tmp_path / "memory.peak"
    peak.chmod(0o444)
    meter = Meter(cgroup.counters())
    before = meter.begin()
    assert peak.read_text() == "4096\n"
    assert meter.read().since(before, 0.5).memory_peak_bytes is None
    peak.chmod(0o644)
    peak.write_text("5000\n")
    assert meter.read().since(before, 0.5).memory_peak_bytes == 5000
    meter.begin()
    assert meter.read().memory_peak_bytes is None


@pytest.mark.parametrize("version", [1, 2])
def test_whoever_holds_the_counters_can_write_to_the_peak_alone(tmp_path: Path, version: int) -> None:
    for name, fd in leaf(tmp_path, version).counters().items():
        writable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        assert writable == (name in PEAKS), name


@pytest.mark.parametrize("gone", ["memory.peak", "memory.events", "pids.events"])
def test_what_a_kernel_does_not_count_is_absent_and_never_0(tmp_path: Path, gone: str) -> None:
    cgroup = leaf(tmp_path, 2)
    (tmp_path / gone).unlink()
    meter = Meter(cgroup.counters())
    reading = meter.read()
    figures = (reading.memory_peak_bytes, reading.oom_kills, reading.pids_refused)
    assert figures.count(None) == 1


def test_the_counters_at_the_start_survive_the_way_to_the_launcher(tmp_path: Path) -> None:
    reading = Meter(leaf(tmp_path, 1).counters()).read()
    assert Reading(**reading.counters()) == Reading(cpu_seconds=1.5, oom_kills=1, pids_refused=2)


def test_a_cgroup_s_counters_are_closed_with_it(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    (tmp_path / "x").mkdir()
    cgroup = leaf(tmp_path / "x", 1)
    cgroup.counters()
    assert len(set(Path("/proc/self/fd").iterdir())) > len(before)
    for file in (tmp_path / "x").iterdir():
        file.unlink()  # a cgroup's directory goes with its files
    cgroup.remove()
    assert len(set(Path("/proc/self/fd").iterdir())) == len(before)
