"""Durations and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxd.policy.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30.0), ("2m", 120.0), ("1h", 3600.0), ("0s", 0.0)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("1B", 1), ("64KiB", 65536), ("1MiB", 2**20), ("2GiB", 2**31), ("0B", 0)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "value", ["30", "30 s", "1.5s", "-1s", "s", "", "01s", "30S", "30sec", "٣s", 30, 1.5, True, None, []]
)
def test_no_duration(value):
    with pytest.raises(ValueError, match="ms, s, m, h"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["1GB", "1G", "1Gi", "1 GiB", "1.5GiB", "64k", "-1B", 64, None])
def test_no_size(value):
    with pytest.raises(ValueError, match="KiB"):
        parse_size(value)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_survives_writing(milliseconds):
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.integers(min_value=0, max_value=10**11))
def test_a_size_survives_writing(size):
    assert parse_size(format_size(size)) == size
