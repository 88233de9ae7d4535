"""Structured logs on stderr, key=value. Never user code or output.

What an exception says may quote what it choked on, so of a traceback only types and places are written.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback

_PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+")
_VALUE_MAX = 500
_FRAMES_MAX = 12
_USUAL = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class KeyValueFormatter(logging.Formatter):
    """Formats a record as one line of key=value; every `extra` field is a key."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        pairs: list[tuple[str, object]] = [
            ("time", self._time(record)),
            ("level", record.levelname.lower()),
            ("logger", record.name),
            ("event", record.getMessage()),
        ]
        pairs += [(key, value) for key, value in record.__dict__.items() if key not in _USUAL]
        if record.exc_info and record.exc_info[1] is not None:
            pairs.append(("exception", _told(record.exc_info[1])))
        return " ".join(f"{key}={_quoted(value)}" for key, value in pairs)

    @staticmethod
    def _time(record: logging.LogRecord) -> str:
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{whole}.{int(record.msecs):03d}Z"


def configure_logs(level: str) -> None:
    """Send all logs to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(KeyValueFormatter())
    logging.raiseExceptions = False  # a closed stderr must not stop the daemon
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _quoted(value: object) -> str:
    text = str(value)[:_VALUE_MAX]
    # JSON's ASCII form escapes line ends, control and bidi characters: a value forges neither line nor
    # terminal.
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in reversed(frames)
    )
    return f"{type(error).__name__} at {places}"
