"""What a client asks of a new session, and how long sessions may live."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandboxd.errors import Code, FailureClass, SandboxdError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxd.events import ToolSpec

_LABELS_MAX = 32
_LABEL_CHARACTERS_MAX = 256


@dataclass(frozen=True, slots=True)
class OpenWish:
    """What a client asks of a new session, within the policy. Of the seconds 0 is the daemon's default."""

    policy: str = ""
    limits: Mapping[str, float | int | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    lease_seconds: float = 0.0
    fresh: bool = False
    idle_seconds: float = 0.0
    lifetime_seconds: float = 0.0
    tools: tuple[ToolSpec, ...] = ()
    moved_from: tuple[str, ...] = ()  # policies that a one-shot came from: what they say of tools holds on


@dataclass(frozen=True, slots=True)
class Life:
    """How long one session lives: without a stream, with one but without an execution, and in all."""

    lease_seconds: float
    idle_seconds: float
    lifetime_seconds: float


@dataclass(frozen=True, slots=True)
class Terms:
    """How long sessions live."""

    lease_seconds: float
    max_lease_seconds: float
    idle_seconds: float
    max_lifetime_seconds: float = 86_400.0

    def life(self, wish: OpenWish) -> Life:
        """Grant what a client asks for.

        Raises:
            SandboxdError: LIMIT_ABOVE_POLICY.
        """
        idle = _within("idle_seconds", wish.idle_seconds, self.idle_seconds, "idle_seconds")
        longest = self.max_lifetime_seconds
        lifetime = _within("lifetime_seconds", wish.lifetime_seconds, longest, "max_lifetime_seconds")
        return Life(
            self.lease(wish.lease_seconds) or self.lease_seconds,
            idle or self.idle_seconds,
            lifetime or longest,
        )

    def lease(self, seconds: float) -> float:
        """Grant a lease. Raises SandboxdError: LIMIT_ABOVE_POLICY."""
        return _within("lease_seconds", seconds, self.max_lease_seconds, "max_lease_seconds")


def check_labels(labels: Mapping[str, str]) -> None:
    """Bound the labels of a session.

    Raises:
        SandboxdError: INVALID_REQUEST.
    """
    texts = (*labels, *labels.values())
    if len(labels) > _LABELS_MAX or any(len(text) > _LABEL_CHARACTERS_MAX for text in texts):
        raise SandboxdError(
            Code.INVALID_REQUEST,
            f"A session has at most {_LABELS_MAX} labels of {_LABEL_CHARACTERS_MAX} characters each side.",
            remedy="Send fewer or shorter labels.",
            failure=FailureClass.NOT_STARTED,
        )


def _within(name: str, seconds: float, most: float, setting: str) -> float:
    if math.isfinite(seconds) and 0 <= seconds <= most:
        return seconds
    raise SandboxdError(
        Code.LIMIT_ABOVE_POLICY,
        f"{name} must be from 0 to {most:g}.",
        remedy=f"Ask for less, or raise {setting}.",
        failure=FailureClass.NOT_STARTED,
        limit=name,
    )
