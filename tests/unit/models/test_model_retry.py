from __future__ import annotations

import pytest
from sandboxd_client.models.retry import Backoff, is_retried, retry_after_seconds


def test_waits_double_up_to_the_longest():
    backoff = Backoff(retries=10, jitter=lambda: 0.0)
    assert [backoff.wait_seconds(attempt, 0) for attempt in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]


def test_jitter_takes_a_quarter_at_most():
    assert Backoff(jitter=lambda: 1.0).wait_seconds(0, 0) == 0.375
    assert all(0.375 < (Backoff().wait_seconds(0, 0) or 0) <= 0.5 for _ in range(100))


def test_the_servers_wish_comes_first_within_reason():
    assert Backoff().wait_seconds(0, 12.0) == 12.0
    assert Backoff().wait_seconds(0, 61.0) is None


def test_tries_end():
    assert Backoff(retries=2).wait_seconds(1, 0) is not None
    assert Backoff(retries=2).wait_seconds(2, 0) is None


def test_only_the_listed_statuses_are_tried_again():
    assert {status for status in range(200, 600) if is_retried(status)} == {408, 409, 429, *range(500, 600)}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "inf"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": ""}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT"}, 20),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "Thu, 99 Jan 1970 00:00:00 GMT"}, 0),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after_seconds(headers, now_seconds=100.0) == seconds
