"""What a session is and what is asked of it: values, and no state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sandboxd.errors import Code, FailureClass, SandboxdError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxd.events import Limits, Verdict
    from sandboxd.policy import Policy


class State(StrEnum):
    """What a session does."""

    IDLE = "idle"
    RUNNING = "running"
    DETACHED = "detached"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a session is. The token is a capability: only its owner's stream may see it."""

    token: str
    display_id: str
    uid: int
    policy: Policy
    limits: Limits
    labels: Mapping[str, str]
    lease_seconds: float
    idle_seconds: float
    executor: str
    created_at_seconds: float
    expires_at_seconds: float  # however much it is used; a clone's is that of the session it was cloned from
    forked_from: str = ""  # display id


@dataclass(frozen=True, slots=True)
class ExecuteWish:
    """What a client asks to run. `timeout_seconds` 0: the session's wall limit; `denial`: the screen has spoken already."""

    request_id: int
    execution_id: str
    code: str
    timeout_seconds: float = 0.0
    rollback_on_error: bool = False
    denial: Verdict | None = None


def check_timeout(timeout_seconds: float, wall_seconds: float) -> None:
    """Hold a wanted timeout to a wall limit.

    Raises:
        SandboxdError: LIMIT_ABOVE_POLICY.
    """
    if not 0 <= timeout_seconds <= wall_seconds:
        raise SandboxdError(
            Code.LIMIT_ABOVE_POLICY,
            f"timeout_seconds must be from 0 to {wall_seconds:g}, the session's wall limit.",
            remedy="Ask for less, or choose a policy that allows more.",
            failure=FailureClass.NOT_STARTED,
            limit="wall_seconds",
        )
