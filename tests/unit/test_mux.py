"""The stream between a container's init and its daemon: frames come whole, windows hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxd.jail import mux


@given(st.lists(st.tuples(st.integers(1, mux.LAST_CHANNEL), st.binary(max_size=200)), max_size=20), st.data())
def test_frames_come_whole_however_they_are_cut(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    raw = b"".join(mux.frame(channel, payload) for channel, payload in frames)
    splitter, found = mux.Splitter(), []
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        found += splitter.feed(raw[:size])
        raw = raw[size:]
    assert found == frames


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_waited_for(raw: bytes) -> None:
    try:
        frames = mux.Splitter().feed(raw)
    except mux.MuxError:
        return
    assert sum(len(payload) for _, payload in frames) <= len(raw)


@pytest.mark.parametrize(
    ("channel", "size"), [(mux.ORDERS, mux.MAX_ORDER_BYTES + 1), (mux.STDOUT, mux.MAX_DATA_BYTES + 1)]
)
def test_a_frame_that_is_too_long_is_refused_by_its_head(channel: int, size: int) -> None:
    with pytest.raises(mux.MuxError):
        mux.Splitter().feed(mux.frame(channel, b"")[:2] + size.to_bytes(4, "big"))


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"{}", b'{"op":1}', b"{", b"[" * 100_000, b'{"op":"a","x":[' + b"[]," * 9000 + b"0]}"],
)
def test_an_order_is_an_object_with_a_name(payload: bytes) -> None:
    with pytest.raises(mux.MuxError):
        mux.parse_order(payload)


@given(st.lists(st.integers(1, mux.MAX_DATA_BYTES), max_size=60))
def test_a_sender_that_keeps_to_its_window_is_never_refused(sizes: list[int]) -> None:
    sender, receiver = mux.Windows(), mux.Windows()
    for wanted in sizes:
        size = min(wanted, sender.room(mux.STDOUT))
        if not size:
            raise AssertionError("everything is passed on, and no room is left")
        sender.sent(mux.STDOUT, size)
        receiver.came(mux.STDOUT, size)
        if grant := receiver.passed_on(mux.STDOUT, size):
            ((_, payload),) = mux.Splitter().feed(grant)
            sender.granted(*mux.parse_grant(payload))


def test_who_sends_beyond_the_window_is_refused() -> None:
    windows = mux.Windows()
    windows.came(mux.STDOUT, mux.WINDOW_BYTES)
    with pytest.raises(mux.MuxError):
        windows.came(mux.STDOUT, 1)


def test_who_grants_what_was_not_sent_is_refused() -> None:
    windows = mux.Windows()
    windows.sent(mux.STDOUT, 10)
    with pytest.raises(mux.MuxError):
        windows.granted(mux.STDOUT, 11)


def test_a_grant_for_a_channel_that_is_forgotten_is_for_nothing() -> None:
    windows = mux.Windows()
    windows.sent(mux.FIRST_TRANSFER, 10)
    windows.forget(mux.FIRST_TRANSFER)
    windows.granted(mux.FIRST_TRANSFER, 10)
    assert windows.room(mux.FIRST_TRANSFER) == mux.MAX_DATA_BYTES
