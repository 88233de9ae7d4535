"""Every live container of a daemon, those in use and those that wait, by section 5 of the CIS Docker benchmark 1.6.

As docker-bench-security asks it, over `inspect`; what concerns the host or images alone is not a container's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from borrowed import Shifted
from daemons import Daemon
from engine import OwnEngine
from sandboxd_client import Sandbox

from sandboxd.broker import spec

pytestmark = pytest.mark.timeout(180)
MIB = 1 << 20
SENSITIVE = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/var/run", "/run")
Check = Callable[[dict[str, Any], dict[str, Any]], bool]
CHECKS: dict[str, Check] = {
    "5.2 SELinux or AppArmor is not switched off": lambda _, host: (
        not any(
            "unconfined" in one or "label=disable" in one or "label:disable" in one
            for one in host["SecurityOpt"]
        )
    ),
    "5.3 no capability": lambda _, host: host["CapDrop"] == ["ALL"] and not host["CapAdd"],
    "5.4 not privileged": lambda _, host: host["Privileged"] is False,
    "5.5 no sensitive directory of the host": lambda all_, _: (
        not any(one.get("Source") in SENSITIVE for one in all_["Mounts"])
    ),
    "5.7, 5.8 no port": lambda all_, host: (
        not all_["NetworkSettings"]["Ports"] and not host["PortBindings"] and not host["PublishAllPorts"]
    ),
    "5.9, 5.29 no network": lambda all_, host: (
        host["NetworkMode"] == "none" and set(all_["NetworkSettings"]["Networks"]) <= {"none"}
    ),
    "5.10 memory, and no swap": lambda _, host: (
        0 < host["Memory"] == host["MemorySwap"] and not host["OomKillDisable"]
    ),
    "5.11 processor": lambda _, host: host["NanoCpus"] > 0,
    "5.12 the root is read-only": lambda _, host: host["ReadonlyRootfs"] is True,
    "5.14 no restart": lambda all_, host: host["RestartPolicy"]["Name"] == "no" and all_["RestartCount"] == 0,
    "5.15 own processes": lambda _, host: host["PidMode"] == "",
    "5.16 own IPC": lambda _, host: host["IpcMode"] in {"none", "private"},
    "5.17 no device": lambda _, host: (
        not host["Devices"] and not host["DeviceRequests"] and not host["DeviceCgroupRules"]
    ),
    "5.18 limits of its own": lambda _, host: (
        {"core", "nofile", "memlock", "msgqueue"} <= {one["Name"] for one in host["Ulimits"]}
        and all(one["Soft"] == one["Hard"] for one in host["Ulimits"])
    ),
    "5.19 no shared mount": lambda all_, _: (
        not any("shared" in one.get("Propagation", "") for one in all_["Mounts"])
    ),
    "5.20 own UTS": lambda _, host: host["UTSMode"] == "",
    "5.21 a seccomp profile": lambda _, host: any(one.startswith("seccomp={") for one in host["SecurityOpt"]),
    "5.24 the engine's own cgroup": lambda _, host: (
        host["CgroupParent"] == "" and host["CgroupnsMode"] == "private"
    ),
    "5.25 no new privileges": lambda _, host: "no-new-privileges" in host["SecurityOpt"],
    "5.26 no health check of an image's": lambda all_, _: all_["Config"]["Healthcheck"] == {"Test": ["NONE"]},
    # gVisor has several threads of the host for each process inside.
    "5.28 processes are limited": lambda _, host: (
        0 < host["PidsLimit"] < 100 * spec.TASKS_A_PROCESS[host["Runtime"]]
    ),
    "5.30 not the host's users": lambda _, host: host["UsernsMode"] != "host",
    "5.31 no socket of the engine": lambda all_, _: (
        not any("docker" in one.get("Source", "").rpartition("/")[2] for one in all_["Mounts"])
    ),
    "4.1 an unprivileged user without groups": lambda all_, host: (
        all_["Config"]["User"].partition(":")[0] not in {"", "0", "root"} and not host["GroupAdd"]
    ),
    "only the guest is mounted, read-only": lambda all_, host: (
        not host["Binds"]
        and not host["VolumesFrom"]
        and [(one["Type"], one["RW"]) for one in all_["Mounts"]] == [("bind", False)]
    ),
    "scratch is bounded": lambda _, host: all(
        {"size", "nr_inodes", "noexec", "nosuid", "nodev"}
        <= {word.partition("=")[0] for word in one.split(",")}
        for one in host["Tmpfs"].values()
    ),
    "nothing is logged or kept": lambda _, host: host["LogConfig"]["Type"] == "none" and host["AutoRemove"],
    "no kernel setting": lambda _, host: not host.get("Sysctls"),
    "the image by digest": lambda all_, _: all_["Config"]["Image"].startswith("sha256:"),
    "/proc and /sys are masked": lambda _, host: (
        {"/proc/kcore", "/proc/keys", "/sys/firmware"} <= set(host["MaskedPaths"])
        and "/proc/sys" in host["ReadonlyPaths"]
    ),
}


def test_live_containers_pass_the_benchmark(daemon: Daemon, shifted: Shifted, engine: OwnEngine) -> None:
    with Sandbox("unscreened", daemon.address) as first, Sandbox("default", daemon.address) as second:
        assert [one.run_code("1 + 1").text for one in (first, second)] == ["2", "2"]
        found = []
        for container in engine.docker("ps", "-q", "--filter", "label=dev.sandboxd.owner").split():
            told = engine.docker("inspect", container, check=False)
            found += json.loads(told or "[]")  # one that waits may go meanwhile
    ours = [one for one in found if one["HostConfig"]["Runtime"] == shifted.runtime]
    assert len(ours) >= 2
    failed = {
        (one["Id"][:12], name)
        for one in found
        for name, check in CHECKS.items()
        if not check(one, one["HostConfig"])
    }
    assert failed == set()
