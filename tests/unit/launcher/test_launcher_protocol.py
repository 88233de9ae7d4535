"""The messages between front and launcher: what goes in comes out, and nothing else goes in."""

from __future__ import annotations

import json
import socket

import pytest

from sandboxd.jail import wire
from sandboxd.launcher import fork_messages, protocol

MESSAGES = [
    protocol.Hello(1, "ab12", "/environments", ["base"], 2, 8, 1, 1000, 3600.0, None),
    protocol.Ready(1, {"cgroup_memory": "not writable"}),
    protocol.Open(2, "s-aaaa", "base", {"pids": 8}, ["seccomp"], True),
    protocol.Opened(2, 7, "3.11.7", [["seccomp", True, ""]], True, 4242, ["scratch", "pids.events"]),
    protocol.Begin(7, 1, 2.5, {"cpu_seconds": 0.5, "oom_kills": 1}),
    protocol.Pause(7, 1),
    protocol.Resume(7, 1),
    protocol.End(7, 1, 9),
    protocol.Stopped(9),
    protocol.Ending(7, 1, "timeout_wall", ""),
    protocol.Interrupt(7, 1, "cancelled", "client"),
    protocol.GuestDied(7, 1, "crashed", "waitpid", "SIGSEGV", "", {}, []),
    protocol.Respawned(7, 4243),
    protocol.BoxLost(7, "pid 1 ended"),
    protocol.File(4, 7, "read", "a/b"),
    protocol.FileDone(4, "", {"size": 1}),
    protocol.Close(5, 7),
    protocol.Closed(5),
    protocol.Count(7),
    protocol.Counted(7, [{"environment": "base", "hits": 3}]),
    fork_messages.Fork(8, 7),
    fork_messages.Forked(8, 9, 4244, "/clones/9/work"),
    fork_messages.Keep(9, 7, 6),
    fork_messages.Kept(9, 7, 10),
    fork_messages.RollBack(10, 7, 10),
    fork_messages.RolledBack(10, 4245),
    fork_messages.Drop(11, 7, 10),
    fork_messages.Dropped(11),
    fork_messages.CheckpointLost(7, 10),
    protocol.Failed(6, "JAIL_FAILED", "no", "do this"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.op)
def test_a_message_survives_the_wire(message):
    assert protocol.decode(json.loads(json.dumps(protocol.encode(message)))) == message


def test_every_message_of_the_protocol_is_covered():
    assert {type(message) for message in MESSAGES} == set(protocol._TYPES.values())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.op)
def test_an_unknown_field_is_refused(message):
    with pytest.raises(wire.WireError):
        protocol.decode({**protocol.encode(message), "extra": 1})


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.op)
def test_a_missing_field_is_refused(message):
    raw = protocol.encode(message)
    first = next(name for name in raw if name != "op")
    del raw[first]
    with pytest.raises(wire.WireError):
        protocol.decode(raw)


def test_an_unknown_operation_is_refused():
    with pytest.raises(wire.WireError):
        protocol.decode({"op": "reboot"})


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"op": 1}',
        b'{"op": ["x"]}',
        b"\xff",
        b"[" * 100_000,
        b"9" * 10_000,
    ],
)
def test_a_packet_that_is_no_message_is_an_error_and_not_more(packet):
    ours, theirs = wire.pair()
    with ours, theirs:
        theirs.send(packet)
        with pytest.raises((wire.WireError, EOFError)):
            wire.receive(ours)


def test_descriptors_of_a_bad_packet_are_closed(tmp_path):
    ours, theirs = wire.pair()
    with ours, theirs, (tmp_path / "f").open("w") as file:
        socket.send_fds(theirs, [b"{"], [file.fileno()] * 3)
        before = len(list((tmp_path.__class__("/proc/self/fd")).iterdir()))
        with pytest.raises(wire.WireError):
            wire.receive(ours)
        assert len(list((tmp_path.__class__("/proc/self/fd")).iterdir())) == before


def test_more_descriptors_than_any_message_has_are_refused(tmp_path):
    ours, theirs = wire.pair()
    with ours, theirs, (tmp_path / "f").open("w") as file:
        socket.send_fds(theirs, [b'{"op":"x"}'], [file.fileno()] * (wire.MAX_FDS + 4))
        with pytest.raises(wire.WireError):
            wire.receive(ours)


def test_a_message_that_is_too_large_is_refused_before_it_is_sent():
    ours, theirs = wire.pair()
    with ours, theirs, pytest.raises(wire.WireError):
        wire.send(ours, {"op": "x", "text": "y" * wire.MAX_BYTES})


def test_the_largest_message_fits_the_socket():
    ours, theirs = wire.pair()
    with ours, theirs:
        ours.setblocking(False)
        wire.send(ours, {"op": "x", "text": "y" * (wire.MAX_BYTES - 100)})
        message, fds = wire.receive(theirs)
        assert len(message["text"]) == wire.MAX_BYTES - 100
        assert fds == []
