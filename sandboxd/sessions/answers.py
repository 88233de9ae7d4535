"""What a stream is told of its own requests: not part of an execution, and in no ring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from sandboxd.sessions.session import Session


@dataclass(frozen=True, slots=True)
class Forked:
    """The clones that were made, each a session of its own."""

    clones: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """All checkpoints of the session, oldest first: names and Unix times."""

    checkpoints: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The session is as it was at a checkpoint, which stays."""

    name: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """The Unix time at which the session ends when nothing more is asked of it."""

    expires_at_seconds: float


Answer: TypeAlias = Forked | Checkpointed | RolledBack | Renewed
