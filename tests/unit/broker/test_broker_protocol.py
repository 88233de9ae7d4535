"""Front and broker understand each other exactly, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandboxd.broker import protocol
from sandboxd.jail.wire import WireError

ID = "ab" * 32
FROM_FRONT = [
    protocol.Hello(1, "ab" * 8, "cd" * 4, "/run/docker.sock", "/images", "/guest"),
    protocol.Launch(2, "base", "runc", 1 << 28, 1 << 24, 1024, 32, 1.0),
    protocol.Assign(ID, "session-1"),
    protocol.Stop(3, ID),
    protocol.Reconcile(4, [ID]),
]
FROM_BROKER = [
    protocol.Ready(1, {"version": "20.10"}, 0),
    protocol.Launched(2, ID, ["cpu.stat"], {"runtime": "runc"}),
    protocol.Stopped(3, True, -1),
    protocol.Reconciled(4, 2),
    protocol.Failed(5, "JAIL_FAILED", "x", "y"),
]


@pytest.mark.parametrize("message", FROM_FRONT, ids=lambda m: m.op)
def test_the_front_s_messages_arrive_as_they_were(message: Any) -> None:
    assert protocol.from_front(json.loads(json.dumps(protocol.encode(message)))) == message


@pytest.mark.parametrize("message", FROM_BROKER, ids=lambda m: m.op)
def test_the_broker_s_messages_arrive_as_they_were(message: Any) -> None:
    assert protocol.from_broker(json.loads(json.dumps(protocol.encode(message)))) == message


@pytest.mark.parametrize("message", FROM_FRONT, ids=lambda m: m.op)
def test_nothing_but_its_exact_fields_is_understood(message: Any) -> None:
    raw = protocol.encode(message)
    for name in raw:
        if name == "op":
            continue
        for wrong in (None, [1], {"x": 1}, "\0", -1, True, 1 << 70):
            if type(wrong) is type(raw[name]) and not isinstance(wrong, (str, list, int)):
                continue
            if name in {"socket", "images_dir", "guest_dir"} and isinstance(wrong, str):
                continue
            with pytest.raises(WireError):
                protocol.from_front({**raw, name: wrong})
        with pytest.raises(WireError):
            protocol.from_front({key: value for key, value in raw.items() if key != name})
    with pytest.raises(WireError):
        protocol.from_front({**raw, "privileged": True})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "../base"),
        ("image", "evil:latest"),
        ("image", "docker.io/library/x"),
        ("runtime", "io.containerd.runc.v2"),
        ("runtime", "kata"),
        ("memory_bytes", -1),
        ("pids", True),
        ("cpus", "1"),
    ],
)
def test_a_launch_names_nothing_that_is_not_offered(field: str, value: Any) -> None:
    raw = {**protocol.encode(FROM_FRONT[1]), field: value}
    with pytest.raises(WireError):
        protocol.from_front(raw)


@pytest.mark.parametrize(
    "container", ["", "x", ID + "/json", ID[:-1], ID.upper(), ID + "?force=1", "../images"]
)
def test_a_container_is_named_by_its_whole_id(container: str) -> None:
    with pytest.raises(WireError):
        protocol.from_front({"op": "stop", "request": 1, "container": container})
    with pytest.raises(WireError):
        protocol.from_front({"op": "reconcile", "request": 1, "keep": [container]})


def test_neither_side_takes_the_other_s_messages() -> None:
    for message in FROM_FRONT:
        with pytest.raises(WireError):
            protocol.from_broker(protocol.encode(message))
    for message in FROM_BROKER:
        with pytest.raises(WireError):
            protocol.from_front(protocol.encode(message))
