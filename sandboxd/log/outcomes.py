"""Intents and results as fields of records, and back: only facts, no text that a program can choose.

`Evidence.detail`, texts, errors and answers stay out: they can quote the program. What stays in is cut to the
letters that codes and names are made of.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
from typing import TYPE_CHECKING, Any

from sandboxd.events import Evidence, Outcome, Result, Usage
from sandboxd.log.records import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxd.log.records import JsonValue

_MAX_TOKEN_CHARS = 48
_MAX_LIMITS = 8
_NOT_TOKEN = re.compile(r"[^A-Za-z0-9_.:+/@-]")
_USAGE_NAMES = tuple(field.name for field in dataclasses.fields(Usage) if field.name != "sources")


@dataclasses.dataclass(frozen=True, slots=True)
class Intent:
    """What is about to run: for whom, where, what, under which policy. `session` is the display id."""

    execution_id: str
    uid: int
    session: str
    source_sha256: str
    policy: str
    policy_digest: str


_INTENT_NAMES = tuple(field.name for field in dataclasses.fields(Intent))


def intent_fields(intent: Intent) -> dict[str, JsonValue]:
    """Turn an intent into fields."""
    return {name: getattr(intent, name) for name in _INTENT_NAMES}


def intent_of(record: Mapping[str, Any]) -> Intent:
    """Read an intent back. Raises KeyError, TypeError."""
    if type(record["uid"]) is not int:
        raise TypeError("a uid is a number")
    return Intent(
        execution_id=str(record["execution_id"]),
        uid=record["uid"],
        session=sys.intern(record["session"]),  # the index holds many intents of few sessions and policies
        source_sha256=str(record["source_sha256"]),
        policy=sys.intern(record["policy"]),
        policy_digest=sys.intern(record["policy_digest"]),
    )


def outcome_fields(intent: Intent, started_at_seconds: float, result: Result) -> dict[str, JsonValue]:
    """Turn the facts of a result into fields, bounded to less than an owed record's room.

    The intent stands in it again: an outcome can be read alone, when the intent's segment is archived.
    """
    usage: dict[str, JsonValue] = {
        name: value for name in _USAGE_NAMES if (value := getattr(result.usage, name)) is not None
    }
    sources = result.usage.sources
    return {
        **intent_fields(intent),
        "started_at": format_time(started_at_seconds),
        "outcome": result.outcome.value,
        "evidence": {"source": _token(result.evidence.source), "code": _token(result.evidence.code)},
        "usage": usage,
        "usage_sources": {name: _token(sources[name]) for name in _USAGE_NAMES if name in sources},
        "limits_hit": [_token(name) for name in result.limits_hit[:_MAX_LIMITS]],
        "stdout_dropped_bytes": result.stdout_dropped_bytes,
        "stderr_dropped_bytes": result.stderr_dropped_bytes,
        "variables_lost": result.variables_lost,
        **({"rolled_back": True} if result.rolled_back else {}),
        **({"restored_from": _token(result.restored_from)} if result.restored_from else {}),
    }


def result_of(record: Mapping[str, Any]) -> Result:
    """Read the facts of a result back. Raises KeyError, TypeError, ValueError."""
    evidence, usage = record["evidence"], record["usage"]
    return Result(
        outcome=Outcome(record["outcome"]),
        evidence=Evidence(source=str(evidence["source"]), code=str(evidence["code"])),
        usage=Usage(
            **{name: usage[name] for name in _USAGE_NAMES if name in usage},
            sources={sys.intern(name): sys.intern(by) for name, by in record["usage_sources"].items()},
        ),
        limits_hit=tuple(str(name) for name in record["limits_hit"]),
        stdout_dropped_bytes=int(record["stdout_dropped_bytes"]),
        stderr_dropped_bytes=int(record["stderr_dropped_bytes"]),
        variables_lost=bool(record["variables_lost"]),
        rolled_back=bool(record.get("rolled_back", False)),
        restored_from=str(record.get("restored_from", "")),
    )


def facts_of(result: Result) -> Result:
    """Take from a result what the log keeps of it."""
    return Result(
        outcome=result.outcome,
        evidence=Evidence(_token(result.evidence.source), _token(result.evidence.code)),
        usage=result.usage,
        limits_hit=tuple(_token(name) for name in result.limits_hit[:_MAX_LIMITS]),
        stdout_dropped_bytes=result.stdout_dropped_bytes,
        stderr_dropped_bytes=result.stderr_dropped_bytes,
        variables_lost=result.variables_lost,
        rolled_back=result.rolled_back,
        restored_from=_token(result.restored_from),
    )


@functools.lru_cache(1024)  # the daemon's own words, nearly all of them
def _token(text: str) -> str:
    return _NOT_TOKEN.sub("?", text[:_MAX_TOKEN_CHARS])
