"""The output gate and the path rules on examples; their laws are in tests/property."""

from __future__ import annotations

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Output
from sandboxd.executors import paths
from sandboxd.executors.output import OutputGate


def gate(limit: int) -> tuple[OutputGate, list[Output], list[None]]:
    emitted: list[Output] = []
    limits: list[None] = []
    return OutputGate(limit, emitted.append, lambda: limits.append(None)), emitted, limits


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_up_to_the_limit_is_whole_whichever_stream_it_took(stream):
    one, emitted, limits = gate(100)
    one.feed(stream, bytes(range(100)))
    assert one.finish() == {"stdout": 0, "stderr": 0}
    assert b"".join(piece.data for piece in emitted) == bytes(range(100))
    assert limits == []


def test_the_limit_is_told_once():
    one, _, limits = gate(10)
    for _ in range(5):
        one.feed("stdout", b"x" * 7)
    assert limits == [None]


def test_the_tail_of_each_stream_survives_a_flood_of_the_other():
    one, emitted, _ = gate(100)
    one.feed("stderr", b"h" * 80)
    one.feed("stderr", b"Traceback")
    one.feed("stdout", b"x" * 10_000)
    one.finish()
    assert b"".join(piece.data for piece in emitted if piece.stream == "stderr").endswith(b"Traceback")


def test_a_limit_of_nothing_lets_nothing_through():
    one, emitted, limits = gate(0)
    one.feed("stdout", b"abc")
    assert one.finish() == {"stdout": 3, "stderr": 0}
    assert all(piece.data == b"" for piece in emitted)
    assert limits == [None]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a", "a"),
        ("/work/a", "a"),
        ("/work", "."),
        ("", "."),
        (".", "."),
        ("./a//b/.", "a/b"),
        ("/work//a", "a"),
        ("a..b", "a..b"),
    ],
)
def test_paths_become_relative(path, wanted):
    assert paths.relative(path) == wanted


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/workx", "..", "a/..", "/work/..", "a\0", "a\n", "x" * 2000, "\u202ea", "/WORK/a"]
)
def test_paths_that_are_not_below_work_are_refused(path):
    with pytest.raises(SandboxdError) as raised:
        paths.relative(path)
    assert raised.value.code is Code.FILE_PATH_INVALID
    assert raised.value.remedy


def test_an_errno_without_an_entry_is_still_a_code():
    assert paths.failure("a", "EWEIRD").code is Code.FILE_FAILED
