"""One check of the host and its result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How much a result matters: `failed` keeps the process tier from starting, `warning` weakens it."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """A result: what was seen, and where it is not ok, what to do about it."""

    name: str
    status: Status
    detail: str
    remedy: str = ""
