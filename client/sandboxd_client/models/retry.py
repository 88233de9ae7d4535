"""When a model call may be tried again, and how long to wait before."""

from __future__ import annotations

import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_RETRIED = frozenset({408, 409, 429})
# A server that asks for more is not worth waiting for in a loop: its word goes up to the caller instead.
_LONGEST_WAIT_SECONDS = 60.0
_SERVER_ERRORS = 500


def is_retried(status: int) -> bool:
    """Tell whether an answer with this HTTP status may be asked for again."""
    return status in _RETRIED or status >= _SERVER_ERRORS


@dataclass(frozen=True, slots=True)
class Backoff:
    """Jittered exponential back-off; `jitter` returns a number in [0, 1)."""

    retries: int = 4
    first_seconds: float = 0.5
    longest_seconds: float = 8.0
    jitter: Callable[[], float] = random.random

    def wait_seconds(self, attempt: int, asked_seconds: float) -> float | None:
        """Return how long to wait after failed attempt `attempt` (from 0), or None to give up.

        `asked_seconds` is what the server asked for, 0 where it asked for nothing.
        """
        if attempt >= self.retries or asked_seconds > _LONGEST_WAIT_SECONDS:
            return None
        if asked_seconds > 0:
            return asked_seconds
        # A quarter of jitter at most, so that many agents do not come back at the same moment.
        return float(min(self.first_seconds * 2.0**attempt, self.longest_seconds)) * (
            1.0 - 0.25 * self.jitter()
        )


def retry_after_seconds(headers: Mapping[str, str], now_seconds: float) -> float:
    """Read retry-after-ms or Retry-After (seconds or a date); 0 where there is none or it makes no sense."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000.0
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_seconds)
    except (ValueError, OverflowError):
        return 0.0


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0.0 <= number < float("inf") else None
