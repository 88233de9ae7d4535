"""The front's part in clones and checkpoints: who shares a tree, and the orders that go to an interpreter."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Limits, Protection
from sandboxd.executors.link import Link
from sandboxd.launcher import fork_messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxd.executors.guest import GuestLink
    from sandboxd.executors.process_box import ProcessBox

_LENGTH = struct.Struct(">I")
FORK_OP = "fork"


@dataclass(slots=True)
class Home:
    """What the boxes of one session tree have in common. State is touched on the event loop only.

    Attributes:
        link: the launcher.
        limits: of the tree.
        counters: descriptors, by the names that `Meter` knows; closed with the last box.
        make: makes a box of a clone, and takes it into the executor's books.
    """

    link: Link
    limits: Limits
    protections: tuple[Protection, ...]
    python_version: str
    pooled: bool
    counters: dict[str, int]
    make: Callable[[Home, fork_messages.Forked, list[int]], ProcessBox]
    boxes: set[ProcessBox] = field(default_factory=set)
    making: int = 0  # clones and checkpoints that were ordered and are not there yet

    def enter(self, box: ProcessBox) -> None:
        """Count a box in."""
        self.boxes.add(box)

    def check_room(self, count: int) -> None:
        """Refuse what the limit has no room for, before a part of it is made; the launcher counts once more.

        Raises:
            SandboxdError: FORK_LIMIT.
        """
        there = len(self.boxes) - 1 + sum(len(box.checkpoints()) for box in self.boxes) + self.making
        if there + count > self.limits.forks:
            raise SandboxdError(
                Code.FORK_LIMIT,
                f"{there} clones and checkpoints of this session tree are there, and {self.limits.forks} may be.",
                remedy="Close clones or drop checkpoints; the policy's limits.forks sets the number.",
            )

    def killed_by_memory(self, victim: ProcessBox) -> None:
        """See that the death of one is not counted as another's."""
        for box in self.boxes:
            if box is not victim:
                box.memory_killed_another()

    def leave(self, box: ProcessBox) -> None:
        """Count a box out. Idempotent."""
        self.boxes.discard(box)
        if not self.boxes:
            while self.counters:
                os.close(self.counters.popitem()[1])


@dataclass(slots=True)
class Checkpoint:
    """A stopped clone, by the launcher's number, and the socket that it hears orders on."""

    number: int
    made_at: float
    control: socket.socket


class Forks:
    """The clones and checkpoints of one box.

    Args:
        home: its tree.
        box: its number.
    """

    def __init__(self, home: Home, box: int) -> None:
        self._home = home
        self._box = box
        self._kept: dict[str, Checkpoint] = {}

    async def clone(self, guest: GuestLink) -> ProcessBox:
        """Have one live clone made.

        Raises:
            SandboxdError: FORK_REFUSED, FORK_FAILED, FORK_LIMIT, SESSION_LOST.
        """
        made: list[ProcessBox] = []
        self._home.check_room(1)
        self._home.making += 1
        request = fork_messages.Fork(self._home.link.number(), self._box)
        guest.order(_order(request.request))
        try:
            await self._home.link.ask(
                request,
                fork_messages.Forked,
                lambda forked, fds: made.append(self._home.make(self._home, forked, fds)),
            )
        except BaseException:
            for box in made:
                box.abandon()  # it came in the same turn as the caller gave up
            raise
        finally:
            self._home.making -= 1
        return made[0]

    async def keep(self, guest: GuestLink, name: str) -> None:
        """Have a checkpoint made in the place of the one that has its name.

        Raises:
            SandboxdError: FORK_REFUSED, FORK_FAILED, FORK_LIMIT, SESSION_LOST.
        """
        before = self._kept.get(name)
        # The interpreter is told of a fork first, and would wait for one that the launcher refuses.
        self._home.check_room(0 if before is not None else 1)
        replaces = before.number if before is not None else 0
        self._home.check_room(0 if replaces else 1)
        request = fork_messages.Keep(self._home.link.number(), self._box, replaces)
        self._home.making += not replaces
        try:
            guest.order(_order(request.request))
            kept, fds = await self._home.link.ask(request, fork_messages.Kept)
        finally:
            self._home.making -= not replaces
        if (before := self._kept.pop(name, None)) is not None:
            before.control.close()
        self._kept[name] = Checkpoint(kept.checkpoint, time.time(), socket.socket(fileno=fds[0]))

    def find(self, name: str) -> Checkpoint:
        """Return the checkpoint of that name.

        Raises:
            SandboxdError: CHECKPOINT_NOT_FOUND.
        """
        if name not in self._kept:
            raise SandboxdError(
                Code.CHECKPOINT_NOT_FOUND,
                f"The session has no checkpoint {name!r}.",
                remedy=f"It has: {', '.join(self._kept) or 'none'}.",
            )
        return self._kept[name]

    async def roll_back(
        self, kept: Checkpoint, arrived: Callable[[fork_messages.RolledBack, list[int]], None]
    ) -> None:
        """Have a checkpoint's successor take the interpreter's place; `arrived` gets it, before anything else is heard.

        Raises:
            SandboxdError: CHECKPOINT_NOT_FOUND, FORK_FAILED, SESSION_LOST.
        """
        request = fork_messages.RollBack(self._home.link.number(), self._box, kept.number)
        _tell(kept.control, _order(request.request))
        await self._home.link.ask(request, fork_messages.RolledBack, arrived)

    async def drop(self, name: str) -> None:
        """Let a checkpoint go.

        Raises:
            SandboxdError: CHECKPOINT_NOT_FOUND.
        """
        kept = self.find(name)
        del self._kept[name]
        await self._let_go(kept)

    async def _let_go(self, kept: Checkpoint) -> None:
        request = fork_messages.Drop(self._home.link.number(), self._box, kept.number)
        try:
            await self._home.link.ask(request, fork_messages.Dropped)
        finally:
            kept.control.close()

    def listed(self) -> tuple[tuple[str, float], ...]:
        """List names and times, oldest first."""
        return tuple(
            sorted(((name, kept.made_at) for name, kept in self._kept.items()), key=lambda row: row[1])
        )

    def lost(self, number: int) -> None:
        """A checkpoint was destroyed from inside."""
        for name, kept in list(self._kept.items()):
            if kept.number == number:
                self._kept.pop(name).control.close()

    def close(self) -> None:
        """Close the sockets: the box is gone, and its checkpoints with it. Idempotent."""
        while self._kept:
            self._kept.popitem()[1].control.close()


def _order(number: int) -> bytes:
    return json.dumps({"op": FORK_OP, "number": number}).encode()


def _tell(control: socket.socket, frame: bytes) -> None:
    control.setblocking(False)
    try:
        control.send(
            _LENGTH.pack(len(frame)) + frame, socket.MSG_NOSIGNAL
        )  # some bytes on an idle socket: it takes them, or is dead
    except OSError:
        return
