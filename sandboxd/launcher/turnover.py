"""Which zygote forks next: one an environment, replaced after so many boxes or so much time.

What one box learns about its address layout or hash seed holds for all boxes of the same zygote, so a zygote does not
serve for ever. The next one warms up beside the present one and takes over when it is ready: no open waits for it. Boxes of
the old one live on, those that wait in the pool included.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandboxd.environments import Environment
from sandboxd.launcher.reaper import Reaper
from sandboxd.launcher.zygotes import Zygote
from sandboxd.seccomp import Filter

RETRY_SECONDS = (
    60.0  # an environment that cannot be loaded now keeps its present zygote; trying costs a whole start
)
STABLE_SECONDS = 5.0  # one that dies younger is not replaced before somebody asks: no loop of crashes


@dataclass(frozen=True, slots=True)
class Term:
    """How long a zygote serves: so many boxes in use, or so many seconds once there was any."""

    boxes: int = 1000
    seconds: float = 3600.0


class Zygotes:
    """The zygotes of this launcher, by environment. State is touched on the event loop only.

    Args:
        filters: the jail's seccomp programs.
        reaper: waits for them.
        term: when one is replaced.
        on_turn: called when an environment's present zygote changed: what was forked from the last one is stale.
    """

    def __init__(
        self, filters: Mapping[str, Filter], reaper: Reaper, term: Term, on_turn: Callable[[], None]
    ) -> None:
        self._filters = filters
        self._reaper = reaper
        self._term = term
        self._on_turn = on_turn
        self._lines: dict[str, Line] = {}
        self._singles: set[Zygote] = set()
        self._closed = False

    def get(self, environment: Environment) -> Zygote:
        """Return the environment's present zygote, starting one if there is none alive."""
        line = self._lines.get(environment.name)
        if line is None:
            line = self._lines[environment.name] = Line(environment, self._start, self._term, self._on_turn)
        return line.serving(environment)

    def single(self, environment: Environment) -> Zygote:
        """Start a zygote that forks one box and ends."""
        self._singles = {zygote for zygote in self._singles if zygote.alive}
        zygote = Zygote(environment, self._filters, self._reaper, single=True)
        self._singles.add(zygote)
        return zygote

    def line(self, environment: str) -> Line | None:
        """Return an environment's line, for its counters."""
        return self._lines.get(environment)

    def _start(self, environment: Environment, line: Line) -> Zygote:
        return Zygote(environment, self._filters, self._reaper, on_use=line.on_use, on_death=line.on_death)

    def close(self) -> None:
        """End all zygotes."""
        for line in self._lines.values():
            line.close()
        for zygote in self._singles:
            zygote.close()


class Line:
    """One environment's zygotes, one after the other."""

    def __init__(
        self,
        environment: Environment,
        start: Callable[[Environment, Line], Zygote],
        term: Term,
        on_turn: Callable[[], None],
    ) -> None:
        self.turnovers = self.failures = self.deaths = 0
        self._environment = environment
        self._start = start
        self._term = term
        self._on_turn = on_turn
        self._loop = asyncio.get_running_loop()
        self._next: Zygote | None = None
        self._retry_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.present = self._begin()

    def _begin(self) -> Zygote:
        """Start one, or take the successor that is warming up already."""
        zygote, self._next = self._next or self._start(self._environment, self), None
        self._serve(zygote)
        return zygote

    def _serve(self, zygote: Zygote) -> None:
        self.present = zygote
        self._since = self._loop.time()
        self._set_timer(self._term.seconds)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._on_time)

    def serving(self, environment: Environment) -> Zygote:
        """Return the one to fork from."""
        if environment != self._environment:  # removed and made anew under the same name: other packages
            self._environment = environment
            if self._next is not None:
                self._next.close()
                self._next = None
            self.present.retire()
            self._begin()
            self._on_turn()
        elif not self.present.alive:
            self._begin()
        return self.present

    def _on_time(self) -> None:
        if self.present.used:  # else nobody knows anything of it
            self._prepare()
        else:
            self._set_timer(self._term.seconds)

    def on_use(self, zygote: Zygote) -> None:
        """Hear of a box that is taken into use."""
        if zygote is self.present and zygote.used >= self._term.boxes:
            self._prepare()

    def on_death(self, zygote: Zygote) -> None:
        """Replace one that died unasked. Its boxes live, and those that wait serve meanwhile."""
        if self._closed or zygote is not self.present:
            return  # of a successor `_take_over` hears
        self.deaths += 1
        if zygote.loaded and self._loop.time() - self._since > STABLE_SECONDS:
            self._begin()

    def _prepare(self) -> None:
        """Warm up the successor beside the present one, which goes on serving."""
        if self._next is None and not self._closed and self._loop.time() >= self._retry_at:
            successor = self._next = self._start(self._environment, self)
            successor.ready.add_done_callback(lambda _: self._take_over(successor))

    def _take_over(self, successor: Zygote) -> None:
        if successor is not self._next:
            return
        self._next = None
        if self._closed:
            return
        if not successor.loaded:
            self.failures += 1
            self._retry_at = self._loop.time() + RETRY_SECONDS
            self._set_timer(RETRY_SECONDS)
            return
        self.turnovers += 1
        last = self.present
        self._serve(successor)
        last.retire()
        self._on_turn()

    def close(self) -> None:
        """End both."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for zygote in (self.present, self._next):
            if zygote is not None:
                zygote.close()
