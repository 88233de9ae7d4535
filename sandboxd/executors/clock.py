"""The wall clock of one execution, which the launcher keeps: when it stands still, because the client runs a tool."""

from __future__ import annotations

import time

from sandboxd.executors.link import Link
from sandboxd.launcher import protocol


class Clock:
    """Tells the launcher when an execution waits for its client, and counts for how long."""

    def __init__(self, link: Link, box: int, execution: int) -> None:
        self._link = link
        self._box = box
        self._execution = execution
        self._still_since: float | None = None
        self._stood = 0.0

    @property
    def stood_seconds(self) -> float:
        """For how long it stood still, at most: the launcher may have let it go on before."""
        now = time.monotonic()
        return self._stood + (now - self._still_since if self._still_since is not None else 0.0)

    def stand(self, still: bool) -> None:
        """Let it stand still, or go on."""
        if still and self._still_since is None:
            self._still_since = time.monotonic()
            self._link.tell(protocol.Pause(self._box, self._execution))
        elif not still and self._still_since is not None:
            self._stood += time.monotonic() - self._still_since
            self._still_since = None
            self._link.tell(protocol.Resume(self._box, self._execution))
