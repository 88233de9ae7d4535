"""Laws of the process executor: output is cut and never invented, paths stay below the root, frames never raise."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Display, Output
from sandboxd.executors import guest, paths
from sandboxd.executors.output import OutputGate

STREAMS = ("stdout", "stderr")
feeds = st.lists(st.tuples(st.sampled_from(STREAMS), st.binary(max_size=60)), max_size=30)


def pass_through(limit: int, pieces: list[tuple[str, bytes]]) -> tuple[list[Output], dict[str, int], int]:
    emitted: list[Output] = []
    reached: list[None] = []
    gate = OutputGate(limit, emitted.append, lambda: reached.append(None))
    for stream, data in pieces:
        gate.feed(stream, data)
    dropped = gate.finish()
    assert gate.total_bytes == sum(len(data) for _, data in pieces)
    return emitted, dropped, len(reached)


def of(stream: str, pieces: list[tuple[str, bytes]]) -> bytes:
    return b"".join(data for name, data in pieces if name == stream)


@given(st.integers(0, 400), feeds)
def test_what_comes_out_and_what_was_dropped_is_what_went_in(limit, pieces):
    emitted, dropped, _ = pass_through(limit, pieces)
    for stream in STREAMS:
        out = sum(len(piece.data) for piece in emitted if piece.stream == stream)
        assert out + dropped[stream] == len(of(stream, pieces))
        assert sum(piece.dropped_bytes for piece in emitted if piece.stream == stream) == dropped[stream]


@given(st.integers(0, 400), feeds)
def test_before_the_gap_is_a_prefix_and_after_it_a_suffix(limit, pieces):
    emitted, _, _ = pass_through(limit, pieces)
    for stream in STREAMS:
        whole, mine = of(stream, pieces), [piece for piece in emitted if piece.stream == stream]
        gap = next((n for n, piece in enumerate(mine) if piece.dropped_bytes), len(mine))
        assert whole.startswith(b"".join(piece.data for piece in mine[:gap]))
        assert whole.endswith(b"".join(piece.data for piece in mine[gap:]))
        assert sum(piece.dropped_bytes > 0 for piece in mine) <= 1


@given(st.integers(0, 400), feeds)
def test_never_more_than_the_limit_comes_out(limit, pieces):
    emitted, _, _ = pass_through(limit, pieces)
    assert sum(len(piece.data) for piece in emitted) <= limit


@given(st.integers(0, 400), feeds)
def test_nothing_is_dropped_unless_the_limit_is_passed_and_then_it_is_said_once(limit, pieces):
    _, dropped, reached = pass_through(limit, pieces)
    over = sum(len(data) for _, data in pieces) > limit
    assert reached == int(over)
    assert over or sum(dropped.values()) == 0


# ---- paths --------------------------------------------------------------------------------------------------------

parts = st.one_of(
    st.sampled_from(["..", ".", "", "work", "a", "/", "//", "\0", "\n", "etc"]), st.text(max_size=5)
)


@given(
    st.one_of(
        st.text(max_size=50),
        st.lists(parts, max_size=8).map("/".join),
        st.lists(parts, max_size=8).map("".join),
    )
)
def test_a_path_is_refused_or_stays_below_the_root(path):
    try:
        inner = paths.relative(path)
    except SandboxdError as error:
        assert error.code is Code.FILE_PATH_INVALID
        return
    assert os.path.normpath(f"/work/{inner}") == ("/work" if inner == "." else f"/work/{inner}")
    assert ".." not in inner.split("/")
    assert "\0" not in inner
    assert paths.relative(inner) == inner or inner.split("/")[0] == "work"


# ---- frames of a hostile guest ------------------------------------------------------------------------------------

ID = "x-1"
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8), st.just(ID)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
fields = st.fixed_dictionaries(
    {"op": st.sampled_from(["display", "result", "ready", "other"]), "id": st.one_of(st.just(ID), values)},
    optional=dict.fromkeys(
        ("data", "base64", "is_result", "dropped", "ok", "text", "error", "final"), values
    ),
)
nearly = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["display", "result"]),
        "id": st.just(ID),
        "ok": values,
        "text": values,
        "data": st.one_of(values, st.dictionaries(st.text(max_size=4), values, max_size=3)),
        "base64": st.one_of(values, st.lists(st.text(max_size=4), max_size=2)),
        "error": st.one_of(
            values,
            st.fixed_dictionaries({"name": values, "message": values, "traceback": values, "line": values}),
        ),
        "final": st.one_of(values, st.fixed_dictionaries({"json": values, "text": values})),
    }
)


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


frames = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=80).map(framed),
    st.one_of(fields, nearly, values).map(lambda value: framed(json.dumps(value).encode())),
)


async def hear(data: bytes) -> tuple[list[Display], int, object]:
    """Give a link what a guest sent; return the displays, the violations, and the claim or None."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    ours, theirs = socket.socketpair()
    pipes = [os.pipe(), os.pipe()]
    displays: list[Display] = []
    violations: list[None] = []
    link = guest.GuestLink([ours.detach(), pipes[0][0], pipes[1][0]], lambda: violations.append(None))
    claim = None
    with theirs:
        finished = link.run(ID, "pass", name="cell", on_output=lambda *_: None, on_display=displays.append)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        for _ in range(6):
            await asyncio.sleep(0)
        if finished.done():
            claim = finished.result()
        link.close()
    for _, write in pipes:
        with contextlib.suppress(OSError):
            os.close(write)
    assert complaints == [], complaints[0].get("exception")
    return displays, len(violations), claim


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(frames, max_size=4).map(b"".join))
def test_whatever_a_guest_sends_is_typed_or_a_violation(data):
    displays, violations, claim = asyncio.run(hear(data))
    assert violations <= 1
    for display in displays:
        assert all(
            isinstance(key, str) and isinstance(value, (str, bytes)) for key, value in display.data.items()
        )
        assert 0 <= display.dropped_bytes < 2**63
        for value in display.data.values():
            if isinstance(value, str):
                value.encode()  # no lone surrogate gets through to the wire
    if claim is not None:
        assert isinstance(claim.ok, bool)
        assert claim.text is None or isinstance(claim.text, str)
        assert claim.error is None or all(
            isinstance(v, str) for v in (claim.error.name, claim.error.message, claim.error.traceback)
        )


async def test_no_frame_reaches_an_execution_that_is_over():
    # At rest no id is right, the empty one and none at all included.
    ours, theirs = socket.socketpair()
    pipes = [os.pipe(), os.pipe()]
    displays: list[Display] = []
    link = guest.GuestLink([ours.detach(), pipes[0][0], pipes[1][0]], lambda: None)
    with theirs:
        finished = link.run(ID, "pass", name="cell", on_output=lambda *_: None, on_display=displays.append)
        theirs.sendall(framed(json.dumps({"op": "result", "id": ID, "ok": True}).encode()))
        assert (await finished).ok
        link.rest()
        for name in (ID, "", None, 0, False):
            late = {"op": "display", "id": name, "data": {"text/plain": "late"}}
            theirs.sendall(framed(json.dumps(late).encode()))
        await asyncio.sleep(0.05)
        link.close()
    for _, write in pipes:
        os.close(write)
    assert displays == []
