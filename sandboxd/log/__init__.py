"""The log: one hash-chained, write-ahead JSONL file set that is journal and audit at once.

Theory of operation:

- `records` makes a line: bounded fields, compact ASCII JSON, the hash of the line before it (`prev`) and its
  own `hash`.
- `segments` keeps the lines in files named by their first sequence number and starts a new file by size.
- `committers` bring lines to the disk: inline in one write(2) (durability "write"), or by one thread that
  joins all that wait into one write and one fdatasync (durability "fsync").
- `writer.Log` numbers and chains the records and refuses: when the size cap is reached (LOG_FULL), and for
  ever once a write failed (LOG_FAILED). Nothing runs without a log.
- `scan` reads segments back, bounded; `recovery` finds the end of the chain and repairs what a crash tore;
  `history` replays the last day; `verify` checks everything, offline or beside a running daemon.
- `executions.Executions` is the at-most-once index over it: an intent before a start, an outcome after.

What is in it: ids, hashes, numbers, outcomes. Never user code, output or the text of an error.
"""

from __future__ import annotations

from sandboxd.log.executions import Executions, Record
from sandboxd.log.history import read_history
from sandboxd.log.outcomes import Intent
from sandboxd.log.records import JsonValue
from sandboxd.log.state import StateDir
from sandboxd.log.verify import VerifyReport, verify
from sandboxd.log.writer import Log

__all__ = (
    "Executions",
    "Intent",
    "JsonValue",
    "Log",
    "Record",
    "StateDir",
    "VerifyReport",
    "read_history",
    "verify",
)
