"""What a container is asked to be, and that a weaker one is noticed."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from sandboxd.broker import spec
from sandboxd.seccomp import names
from sandboxd.seccomp.container import engine_profile

SHAPE = spec.Shape("runc", 256 << 20, 16 << 20, 1024, 32, 1.0)
IMAGE = "sha256:" + "1" * 64


def body(runtime: str = "runc") -> dict[str, Any]:
    maker = spec.Maker("ab" * 8, "cd" * 4, "/guest", engine_profile())
    shape = spec.Shape(runtime, SHAPE.memory_bytes, SHAPE.disk_bytes, SHAPE.files, SHAPE.pids, SHAPE.cpus)
    return maker.body(IMAGE, "/usr/bin/python3", shape, spec.FIRST_UID + 5)


def as_told(made: dict[str, Any]) -> dict[str, Any]:
    """What an engine that did as it was told says of it."""
    mounts = [
        {
            "Type": one["Type"],
            "Source": one["Source"],
            "Destination": one["Target"],
            "RW": not one["ReadOnly"],
        }
        for one in made["HostConfig"]["Mounts"]
    ]
    config = {name: value for name, value in made.items() if name not in {"HostConfig", "Image"}}
    return copy.deepcopy(
        {"Config": config, "HostConfig": made["HostConfig"], "Image": made["Image"], "Mounts": mounts}
    )


def test_a_container_that_is_what_was_asked_for_has_no_fault() -> None:
    assert spec.violations(as_told(body()), body()) == []


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("HostConfig", "Runtime", "other"),
        ("HostConfig", "NetworkMode", "bridge"),
        ("HostConfig", "IpcMode", "shareable"),
        ("HostConfig", "PidMode", "host"),
        ("HostConfig", "UTSMode", "host"),
        ("HostConfig", "CgroupnsMode", "host"),
        ("HostConfig", "UsernsMode", "host"),
        ("HostConfig", "ReadonlyRootfs", False),
        ("HostConfig", "Tmpfs", {}),
        ("HostConfig", "Privileged", True),
        ("HostConfig", "CapDrop", []),
        ("HostConfig", "CapAdd", ["SYS_ADMIN"]),
        ("HostConfig", "SecurityOpt", ["seccomp=unconfined"]),
        ("HostConfig", "MaskedPaths", []),
        ("HostConfig", "ReadonlyPaths", []),
        ("HostConfig", "Memory", 0),
        ("HostConfig", "MemorySwap", -1),
        ("HostConfig", "NanoCpus", 0),
        ("HostConfig", "PidsLimit", 0),
        ("HostConfig", "PidsLimit", None),
        ("HostConfig", "Ulimits", []),
        ("HostConfig", "OomKillDisable", True),
        ("HostConfig", "LogConfig", {"Type": "json-file", "Config": {}}),
        ("HostConfig", "RestartPolicy", {"Name": "always", "MaximumRetryCount": 0}),
        ("HostConfig", "AutoRemove", False),
        ("HostConfig", "Init", True),
        ("HostConfig", "Binds", ["/:/host"]),
        ("HostConfig", "Devices", [{"PathOnHost": "/dev/kvm"}]),
        ("Config", "User", "0"),
        ("Config", "Entrypoint", ["/bin/sh"]),
        ("Config", "WorkingDir", "/proc/self/fd/7"),
        ("Config", "Tty", True),
        ("Config", "Labels", {}),
    ],
)
def test_each_weaker_value_is_a_fault(place: str, name: str, value: Any) -> None:
    found = as_told(body())
    found[place][name] = value
    assert spec.violations(found, body()) != []


@pytest.mark.parametrize(
    "mounts",
    [
        [],
        [{"Type": "bind", "Source": "/guest", "Destination": spec.GUEST_PLACE, "RW": True}],
        [{"Type": "bind", "Source": "/", "Destination": spec.GUEST_PLACE, "RW": False}],
        [
            {"Type": "bind", "Source": "/guest", "Destination": spec.GUEST_PLACE, "RW": False},
            {"Type": "volume", "Source": "x", "Destination": "/data", "RW": True},
        ],
    ],
)
def test_a_mount_that_was_not_asked_for_is_a_fault(mounts: list[dict[str, Any]]) -> None:
    assert spec.violations({**as_told(body()), "Mounts": mounts}, body()) == ["Mounts"]


def test_an_image_of_another_digest_is_a_fault() -> None:
    assert spec.violations({**as_told(body()), "Image": "sha256:" + "2" * 64}, body()) == ["Image"]


def test_memory_and_swap_are_one_limit_and_every_scratch_is_bounded() -> None:
    for runtime in spec.RUNTIMES:
        host = body(runtime)["HostConfig"]
        assert host["Memory"] == host["MemorySwap"] == SHAPE.memory_bytes + spec.MEMORY_OF_OURS[runtime]
        for options in host["Tmpfs"].values():
            assert {"noexec", "nosuid", "nodev"} <= set(options.split(","))
            assert "size=" in options
            assert "nr_inodes=" in options


def allowed(profile: dict[str, Any]) -> set[str]:
    return {
        name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]
    }


def test_the_engine_s_profile_refuses_what_attacks_kernels() -> None:
    profile = engine_profile()
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    # What init needs before it forks the guest, and the guest before its own filter; nothing else that is denied there.
    for_init = {"seccomp", "capset", "setpriority"}
    assert allowed(profile) & set(names.DENIED) == for_init
    assert {"socket", "clone3", "unshare", "io_uring_setup", "bpf", "splice", "ptrace", "keyctl"} & allowed(
        profile
    ) == set()


def test_calls_with_arguments_are_allowed_by_them_alone() -> None:
    rules = engine_profile()["syscalls"]
    for name in ("clone", "socketpair", "ioctl", "fcntl", "prctl"):
        of_it = [rule for rule in rules if name in rule["names"]]
        assert of_it
        assert all(rule.get("args") for rule in of_it), name
    assert json.loads(json.dumps(rules)) == rules


def test_labels_say_what_is_true_before_a_session_has_the_container() -> None:
    labels = body()["Labels"]
    assert labels.keys() == {spec.OWNER, spec.INSTANCE, spec.SHAPE, spec.POLICY, spec.LEASE}
    assert labels[spec.LEASE] == "20"


def test_the_policy_s_digest_is_of_what_holds_the_guest_and_of_nothing_else() -> None:
    def digest(maker: spec.Maker, shape: spec.Shape) -> str:
        return str(maker.labels(shape)[spec.POLICY])

    profile = engine_profile()
    first = digest(spec.Maker("ab" * 8, "cd" * 4, "/guest", profile), SHAPE)
    assert len(first) == 64
    assert digest(spec.Maker("ef" * 8, "01" * 4, "/other", profile), SHAPE) == first
    for changed in (replace(SHAPE, pids=33), replace(SHAPE, files=1025), replace(SHAPE, runtime="runsc")):
        assert digest(spec.Maker("ab" * 8, "cd" * 4, "/guest", profile), changed) != first
    weaker = {**profile, "defaultAction": "SCMP_ACT_ALLOW"}
    assert digest(spec.Maker("ab" * 8, "cd" * 4, "/guest", weaker), SHAPE) != first
