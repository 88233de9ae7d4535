"""Why the latest sessions are gone, for clients that come back: only the owner is told that one ever was."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from sandboxd.errors import Code, FailureClass, SandboxdError

if TYPE_CHECKING:
    from sandboxd.sessions.facts import Facts

_ENDED_MAX = 1024


class Ended:
    """Remembers the ends of the latest sessions."""

    def __init__(self) -> None:
        self._reasons: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def remember(self, facts: Facts, reason: str) -> None:
        """Keep the reason, and forget the oldest."""
        self._reasons[facts.display_id] = (facts.uid, reason)
        if len(self._reasons) > _ENDED_MAX:
            self._reasons.popitem(last=False)

    def refusal(self, display_id: str, uid: int) -> SandboxdError:
        """Return the refusal for a session that is not open."""
        owner, reason = self._reasons.get(display_id, (None, ""))
        return lost(display_id, reason) if owner == uid else unknown()


def lost(display_id: str, reason: str) -> SandboxdError:
    """Return the refusal for a session that ended."""
    return SandboxdError(
        Code.SESSION_LOST,
        f"Session {display_id} is gone: {reason}.",
        remedy="Open a new session; variables, files and checkpoints of the old one are gone.",
        failure=FailureClass.SESSION_LOST,
        session=display_id,
    )


def unknown() -> SandboxdError:
    """Return the refusal for a session that never was, as far as the caller may know."""
    return SandboxdError(
        Code.SESSION_NOT_FOUND,
        "There is no such session.",
        remedy="Open a new session.",
        failure=FailureClass.SESSION_LOST,
    )
