"""What the guest encodes the daemon takes, and gives back as it was: the two are written apart and must agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxd.guest import values as guest
from sandboxd.tools import values as daemon

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.binary(max_size=30)
)
KEYS = TEXT | st.sampled_from(["$sandboxd", "base64", "pairs"])
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


@given(VALUES)
def test_a_value_goes_through_both_and_comes_back(value: Any) -> None:
    text = guest.encode_arguments("tool", {"x": value})
    read = daemon.read(text)
    assert guest.decode(read.text, plain=False) == {"x": value}
    assert guest.decode(read.text, plain=True) == {"x": value}
    assert daemon.read(read.text).seen == read.seen


@given(
    st.one_of(
        VALUES,
        st.floats(),
        st.integers(),
        st.text(),
        st.lists(st.floats()),
        st.dictionaries(st.integers() | TEXT, PLAIN),
    )
)
def test_what_the_guest_lets_pass_the_daemon_takes(value: Any) -> None:
    try:
        text = guest.encode_arguments("tool", {"x": value})
    except TypeError:
        return
    daemon.read(text)


def test_the_bounds_agree() -> None:
    assert guest.MAX_VALUE_BYTES == daemon.MAX_VALUE_BYTES
    assert guest.TAG == daemon.TAG
    deepest: Any = 1
    for _ in range(62):
        deepest = [deepest]
    daemon.read(guest.encode_arguments("tool", {"x": deepest}))
    for value in (10**1000 - 1, -(10**990), [0] * 49_000):
        try:
            text = guest.encode_arguments("tool", {"x": value})
        except TypeError:
            continue
        daemon.read(text)


def test_a_frame_of_the_guest_s_is_one_of_the_daemon_s() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"a": [1, 2], "b": ["x", None], "t": pandas.to_datetime(["2020-01-01", None])}, index=["r", "s"]
    )
    read = daemon.read(guest.encode_arguments("tool", {"x": frame}))
    assert read.seen == {"x": daemon.Tagged("dataframe", 0)}
    pandas.testing.assert_frame_equal(
        guest.decode(json.dumps(json.loads(read.text)["x"]), plain=False), frame
    )
