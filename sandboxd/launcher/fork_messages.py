"""The part of the protocol between front and launcher that is about clones and checkpoints: see `protocol`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias


@dataclass(frozen=True, slots=True)
class Fork:
    """Front → launcher: clone an idle guest, which the front tells of `request`. Answered by `Forked` or `Failed`."""

    op: ClassVar[str] = "fork"
    request: int
    box: int


@dataclass(frozen=True, slots=True)
class Forked:
    """Launcher → front, with descriptors: control socket, stdout, stderr of the clone, which is a box to the front."""

    op: ClassVar[str] = "forked"
    request: int
    box: int
    guest_pid: int
    workdir: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Front → launcher: the same, for a stopped clone: a checkpoint. Answered by `Kept` or `Failed`."""

    op: ClassVar[str] = "keep"
    request: int
    box: int
    replaces: int  # let go once the new one is there; 0: none


@dataclass(frozen=True, slots=True)
class Kept:
    """Launcher → front, with a descriptor: the control socket of the stopped clone, for orders to fork alone."""

    op: ClassVar[str] = "kept"
    request: int
    box: int
    checkpoint: int


@dataclass(frozen=True, slots=True)
class RollBack:
    """Front → launcher: end a guest; its checkpoint, which the front tells to look for `request`, takes its place.

    Answered by `RolledBack` or `Failed`; if it failed half way, `Respawned` comes as well.
    """

    op: ClassVar[str] = "roll_back"
    request: int
    box: int
    checkpoint: int


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Launcher → front, with descriptors: control socket, stdout, stderr of the next guest."""

    op: ClassVar[str] = "rolled_back"
    request: int
    guest_pid: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Front → launcher: let a checkpoint go. Answered by `Dropped`."""

    op: ClassVar[str] = "drop"
    request: int
    box: int
    checkpoint: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """Launcher → front."""

    op: ClassVar[str] = "dropped"
    request: int


@dataclass(frozen=True, slots=True)
class CheckpointLost:
    """Launcher → front: a checkpoint's process is gone without having been told to."""

    op: ClassVar[str] = "checkpoint_lost"
    box: int
    checkpoint: int


ForkRequest: TypeAlias = Fork | Keep | RollBack | Drop
