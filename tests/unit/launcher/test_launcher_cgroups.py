"""Where cgroups can be made, on trees with the real file names of v1, v2 and hybrid hosts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandboxd.launcher.cgroups import detect
from sandboxd.launcher.cgroups.detect import find_homes, household

OWN = frozenset({100, 101})
EVERYTHING = {"memory", "pids", "cpu", "freezer"}
CONTROLLERS = "cpuset cpu io memory hugetlb pids rdma misc"


class Host:
    """A cgroup file system and a procfs in a directory."""

    def __init__(self, base: Path) -> None:
        self.mount, self.proc = base / "cgroup", base / "proc"
        (self.proc / "self").mkdir(parents=True)
        self.mount.mkdir()

    def member(self, *lines: str) -> None:
        (self.proc / "self" / "cgroup").write_text("".join(f"{line}\n" for line in lines))

    def v2(self, path: str, *, procs: tuple[int, ...] = (), enabled: str = "", root: str = "") -> Path:
        """Make a v2 cgroup; the root of the hierarchy alone has no cgroup.type."""
        home = self.mount / root / path.strip("/")
        home.mkdir(parents=True, exist_ok=True)
        (home / "cgroup.controllers").write_text(CONTROLLERS)
        (home / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in procs))
        (home / "cgroup.subtree_control").write_text(enabled)
        if path.strip("/"):
            (home / "cgroup.type").write_text("domain\n")
        return home

    def v1(self, hierarchy: str, path: str, *, writable: bool = True) -> Path:
        home = self.mount / hierarchy / path.strip("/")
        home.mkdir(parents=True, exist_ok=True)
        for place in {self.mount / hierarchy, home}:
            (place / "cgroup.procs").write_text("")
            (place / "tasks").write_text("")
        home.chmod(0o755 if writable else 0o555)
        return home

    def find(self) -> tuple[dict[str, detect.Home], dict[str, str]]:
        return find_homes(self.mount, self.proc, own=OWN)


@pytest.fixture
def host(tmp_path, monkeypatch) -> Host:
    # For root everything is writable; here the owner's bit decides, as it does for the ordinary user.
    monkeypatch.setattr(os, "access", lambda path, _mode: bool(Path(path).stat().st_mode & 0o200))
    return Host(tmp_path)


def versions(homes: dict[str, detect.Home]) -> dict[str, int]:
    return {name: home.version for name, home in homes.items()}


def test_v2_delegated_by_systemd(host):
    host.v2("/")
    mine = host.v2("/system.slice/sandboxd.service", procs=(100, 101))
    host.member("0::/system.slice/sandboxd.service")
    homes, reasons = host.find()
    assert versions(homes) == {"memory": 2, "pids": 2, "cpu": 2, "freezer": 2}
    assert {home.path for home in homes.values()} == {mine}
    assert reasons == {}


def test_v2_moves_the_daemon_into_a_leaf_first(host):
    host.v2("/")
    mine = host.v2("/app.scope", procs=(100,))
    host.member("0::/app.scope")
    host.find()
    assert (mine / detect.LEAF / "cgroup.procs").read_text() == "100"
    assert (mine / "cgroup.subtree_control").read_text().startswith("+")


def test_v2_not_delegated_says_how_to_get_it(host):
    host.v2("/").joinpath("cgroup.procs").chmod(0o444)
    mine = host.v2("/user.slice/session-1.scope", procs=(100, 101))
    (mine / "cgroup.procs").chmod(0o444)
    host.member("0::/user.slice/session-1.scope")
    homes, reasons = host.find()
    assert homes == {}
    assert set(reasons) == EVERYTHING
    assert all("Delegate=yes" in reason for name, reason in reasons.items() if name != "cpu")


def test_v2_shared_with_other_processes_is_not_divided(host):
    # Controllers could be passed on only if the others were moved away; groups without can stand beside them.
    host.v2("/").joinpath("cgroup.procs").chmod(0o444)
    mine = host.v2("/user.slice/session-1.scope", procs=(100, 4242))
    host.member("0::/user.slice/session-1.scope")
    homes, reasons = host.find()
    assert versions(homes) == {"cpu": 2, "freezer": 2}
    assert set(reasons) == {"memory", "pids"}
    assert not (mine / detect.LEAF).exists()


def test_v2_of_another_kind_holds_no_groups_of_ours(host):
    host.v2("/").joinpath("cgroup.procs").chmod(0o444)
    mine = host.v2("/threads", procs=(100,))
    (mine / "cgroup.type").write_text("threaded\n")
    host.member("0::/threads")
    homes, _ = host.find()
    assert homes == {}


def test_v2_another_launcher_of_the_same_daemon_divides_no_further(host):
    host.v2("/")
    mine = host.v2("/app.scope", enabled="memory pids")
    host.v2(f"/app.scope/{detect.LEAF}", procs=(100, 101))
    host.member(f"0::/app.scope/{detect.LEAF}")
    homes, _ = host.find()
    assert {home.path for home in homes.values()} == {mine}


def test_v2_as_root_falls_back_to_the_top(host):
    top = host.v2("/", procs=(1, 2, 3))
    host.v2("/user.slice/session-1.scope", procs=(100, 4242))
    host.member("0::/user.slice/session-1.scope")
    homes, _ = host.find()
    assert {home.path for home in homes.values()} == {top}
    assert not (top / detect.LEAF).exists(), "the true root may hold processes: nobody was to be moved"


def test_v2_in_a_container_other_processes_are_left_alone(host):
    # A cgroup namespace shows the container's own cgroup as "/"; it is no true root (it has cgroup.type), and not ours alone.
    top = host.v2("/", procs=(1, 100, 4242))
    (top / "cgroup.type").write_text("domain\n")
    host.member("0::/")
    homes, _ = host.find()
    assert versions(homes) == {"cpu": 2, "freezer": 2}
    assert not (top / detect.LEAF).exists()


def test_v2_controller_that_is_not_offered_is_absent(host):
    host.v2("/")
    mine = host.v2("/app.scope", procs=(100,))
    for place in (host.mount, mine):
        (place / "cgroup.controllers").write_text("pids")
    host.member("0::/app.scope")
    homes, reasons = host.find()
    assert set(homes) == {"cpu", "freezer", "pids"}
    assert "memory" in reasons


def test_v1_as_root(host):
    for hierarchy in ("memory", "pids", "cpu,cpuacct"):
        host.v1(hierarchy, "/user/0")
    host.member("5:memory:/user/0", "4:pids:/user/0", "3:cpu,cpuacct:/user/0")
    homes, reasons = host.find()
    assert versions(homes) == {"memory": 1, "pids": 1, "cpu": 1}
    assert homes["cpu"].path == host.mount / "cpu,cpuacct/user/0"
    assert homes["memory"].path == host.mount / "memory/user/0"
    assert set(reasons) == {"freezer"}, "never the one of v1: what it froze cannot be killed"


def test_v1_as_an_ordinary_user(host):
    for hierarchy in ("memory", "pids", "cpuacct"):
        host.v1(hierarchy, "/", writable=False)
    host.member("5:memory:/", "4:pids:/", "3:cpuacct:/")
    homes, reasons = host.find()
    assert homes == {}
    assert all("not writable" in reason for name, reason in reasons.items() if name != "freezer")


def test_v1_hierarchy_that_is_not_mounted_is_absent(host):
    # Another hierarchy's directory must not stand in for it: memory limits would go to a cgroup that has none.
    host.v1("cpu,cpuacct", "/")
    host.member("5:memory:/", "3:cpu,cpuacct:/")
    homes, reasons = host.find()
    assert set(homes) == {"cpu"}
    assert "not mounted" in reasons["memory"]


def test_hybrid_takes_each_controller_from_where_it_is(host):
    unified = host.v2("/", root="unified")
    (unified / "cgroup.controllers").write_text("")
    host.v1("memory", "/")
    host.v1("pids", "/user.slice", writable=False)
    host.v1("cpuacct", "/")
    host.member("9:memory:/", "8:pids:/user.slice", "2:cpuacct:/", "0::/user.slice")
    homes, reasons = host.find()
    assert versions(homes) == {"memory": 1, "cpu": 2, "freezer": 2}
    assert set(reasons) == {"pids"}


def test_hybrid_stays_in_its_own_group_whoever_else_is_in_it(host):
    """What a killed launcher left (its undertaker, dying jails) must not drive the next one to the top of the tree."""
    unified = host.v2("/", root="unified")
    (unified / "cgroup.controllers").write_text("")
    own = host.v2("/system.slice/sandboxd.service", root="unified", procs=(*OWN, 999))
    (own / "cgroup.controllers").write_text("")
    host.member("0::/system.slice/sandboxd.service")
    homes, _ = host.find()
    assert {home.path for home in homes.values()} == {own}


def test_v1_counts_cpu_time_where_v2_is_not_writable(host):
    unified = host.v2("/", root="unified")
    (unified / "cgroup.controllers").write_text("")
    (unified / "cgroup.procs").chmod(0o444)
    host.v1("cpuacct", "/")
    host.member("2:cpuacct:/", "0::/")
    homes, reasons = host.find()
    assert versions(homes) == {"cpu": 1}
    assert "Delegate=yes" in reasons["freezer"]


def test_no_cgroups_at_all(host):
    host.member()
    homes, reasons = host.find()
    assert homes == {}
    assert set(reasons) == EVERYTHING


def test_no_procfs_at_all(tmp_path):
    homes, reasons = find_homes(tmp_path / "none", tmp_path / "nothing")
    assert homes == {}
    assert set(reasons) == EVERYTHING


def test_the_household_is_the_front_and_all_that_it_started(tmp_path):
    for pid, name, parent in ((7, "front", 1), (8, "a) S 1 (b", 7), (9, "screener", 8), (10, "stranger", 1)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 7 7 0")
    assert household(7, tmp_path) == {7, 8, 9}
