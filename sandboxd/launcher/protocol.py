"""The typed protocol between front and launcher. Descriptors travel beside a message in the order its docstring says.

Requests carry `request`; the reply (or `Failed`) repeats it. Messages without one are notices. `box` names a member of a
box: the one that was opened, or a live clone of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from sandboxd.jail.wire import WireError
from sandboxd.launcher.fork_messages import (
    CheckpointLost,
    Drop,
    Dropped,
    Fork,
    Forked,
    Keep,
    Kept,
    RollBack,
    RolledBack,
)


@dataclass(frozen=True, slots=True)
class Hello:
    """Front → launcher, once: what this daemon is. Answered by `Ready` or `Failed`."""

    op: ClassVar[str] = "hello"
    request: int
    instance: str  # names the cgroups of this daemon
    environments_dir: str
    prepare: list[str]  # environments whose zygote starts at once
    pool_size: int  # boxes that wait at least, of each environment that was asked for
    pool_max: int
    pool_fresh: int  # at most, of those that are started from exec
    zygote_boxes: int  # after which a zygote is replaced
    zygote_seconds: float
    memory_total_bytes: int | None


@dataclass(frozen=True, slots=True)
class Ready:
    """Launcher → front: the host can carry the jail; `host` names what holds for all boxes."""

    op: ClassVar[str] = "ready"
    request: int
    host: dict[str, str]


@dataclass(frozen=True, slots=True)
class Open:
    """Front → launcher: open a box. Answered by `Opened` or `Failed`."""

    op: ClassVar[str] = "open"
    request: int
    display_id: str
    environment: str
    limits: dict[str, Any]
    require: list[str]
    fresh: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """Launcher → front, with descriptors: control socket, stdout, stderr of the guest, then those of `counters`."""

    op: ClassVar[str] = "opened"
    request: int
    box: int
    python: str
    protections: list[list[Any]]  # [name, active, detail]
    pooled: bool
    guest_pid: int  # in the daemon's pid namespace
    counters: list[str]  # what `sandboxd.launcher.meter` reads


@dataclass(frozen=True, slots=True)
class Begin:
    """Front → launcher, no reply: the guest is about to get a cell; the deadline counts from here."""

    op: ClassVar[str] = "begin"
    box: int
    execution: int
    deadline_seconds: float
    before: dict[str, float]  # the counters at its start, as the front read them
    shared: bool = False  # with other live members: see `Meter.share`


@dataclass(frozen=True, slots=True)
class Pause:
    """Front → launcher, no reply: the client runs a tool for this execution. Its wall clock stands still until `Resume`.

    In all for `tool_wait_seconds` of the box's limits: then the clock goes on by itself, whatever the front says.
    """

    op: ClassVar[str] = "pause"
    box: int
    execution: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Front → launcher, no reply: the client has no tool to run any more; the wall clock goes on."""

    op: ClassVar[str] = "resume"
    box: int
    execution: int


@dataclass(frozen=True, slots=True)
class End:
    """Front → launcher: the guest answered. Stops the clocks, and the box. Answered by `Stopped` if `request` is not 0."""

    op: ClassVar[str] = "end"
    box: int
    execution: int
    request: int = 0


@dataclass(frozen=True, slots=True)
class Stopped:
    """Launcher → front: no signal for an earlier execution will be sent any more."""

    op: ClassVar[str] = "stopped"
    request: int


@dataclass(frozen=True, slots=True)
class Ending:
    """Launcher → front: an execution is made to end, and why. Sent before the first signal.

    So whoever sees what an interrupted guest answered can have seen this: the front looks here before it believes a claim.
    """

    op: ClassVar[str] = "ending"
    box: int
    execution: int
    cause: str  # an outcome's name
    code: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Front → launcher, no reply: end the running execution for `cause` (cancelled, output_limit), with grace."""

    op: ClassVar[str] = "interrupt"
    box: int
    execution: int
    cause: str
    code: str


@dataclass(frozen=True, slots=True)
class GuestDied:
    """Launcher → front: the interpreter is gone, and why, as measured. `Respawned` follows, or `BoxLost`."""

    op: ClassVar[str] = "guest_died"
    box: int
    execution: int  # 0: between executions
    cause: str  # an outcome's name, or "" for an exit of its own
    source: str
    code: str
    detail: str
    usage: dict[str, Any]
    limits_hit: list[str]


@dataclass(frozen=True, slots=True)
class Respawned:
    """Launcher → front, with descriptors: control socket, stdout, stderr of the next guest. Files stayed."""

    op: ClassVar[str] = "respawned"
    box: int
    guest_pid: int


@dataclass(frozen=True, slots=True)
class BoxLost:
    """Launcher → front: pid 1 is gone without having been told to."""

    op: ClassVar[str] = "box_lost"
    box: int
    detail: str


@dataclass(frozen=True, slots=True)
class File:
    """Front → launcher → pid 1: one file operation. Answered by `FileDone` (read, write, list: with a descriptor)."""

    op: ClassVar[str] = "file"
    request: int
    box: int
    do: str
    path: str
    upload: int = 0
    keep: bool = False
    to: str = ""
    since_ns: int = 0


@dataclass(frozen=True, slots=True)
class FileDone:
    """Launcher → front."""

    op: ClassVar[str] = "file_done"
    request: int
    error: str  # an errno name, "" for success
    stat: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Close:
    """Front → launcher: end a box; answered by `Closed` when nothing of it is left."""

    op: ClassVar[str] = "close"
    request: int
    box: int


@dataclass(frozen=True, slots=True)
class Closed:
    """Launcher → front."""

    op: ClassVar[str] = "closed"
    request: int


@dataclass(frozen=True, slots=True)
class Count:
    """Front → launcher: tell the counters of the pools. Answered by `Counted`."""

    op: ClassVar[str] = "count"
    request: int


@dataclass(frozen=True, slots=True)
class Counted:
    """Launcher → front: the fields of `sandboxd.events.PoolStats`, one object a pool."""

    op: ClassVar[str] = "counted"
    request: int
    pools: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Failed:
    """Launcher → front: a request was refused or failed, with a code of `sandboxd.errors.Code`."""

    op: ClassVar[str] = "failed"
    request: int
    code: str
    message: str
    remedy: str


FrontMessage: TypeAlias = (
    Hello | Open | Begin | Pause | Resume | End | Interrupt | File | Close | Count | Fork | Keep | RollBack | Drop
)  # fmt: skip
LauncherMessage: TypeAlias = (
    Ready | Opened | Stopped | Ending | GuestDied | Respawned | BoxLost | FileDone | Closed | Counted | Failed
    | Forked | Kept | RolledBack | Dropped | CheckpointLost
)  # fmt: skip

_TYPES = {
    kind.op: kind
    for kind in (
        Hello, Ready, Open, Opened, Begin, Pause, Resume, End, Stopped, Ending, Interrupt,
        GuestDied, Respawned, BoxLost, File, FileDone,
        Close, Closed, Count, Counted, Failed, Fork, Forked, Keep, Kept, RollBack, RolledBack, Drop, Dropped, CheckpointLost,
    )
}  # fmt: skip


def encode(message: FrontMessage | LauncherMessage) -> dict[str, Any]:
    """Return the JSON object of a message."""
    raw = {name: getattr(message, name) for name in type(message).__dataclass_fields__}
    raw["op"] = message.op
    return raw


def decode(raw: dict[str, Any]) -> FrontMessage | LauncherMessage:
    """Return the message of a JSON object.

    Raises:
        WireError: unknown operation, unknown or missing field.
    """
    body = dict(raw)
    kind = _TYPES.get(body.pop("op"))
    if kind is None:
        raise WireError(f"unknown operation {raw['op']!r:.40}")
    if not kind.__dataclass_fields__.keys() >= body.keys():
        raise WireError(f"unknown field in {kind.op}")
    try:
        message: FrontMessage | LauncherMessage = kind(**body)
    except TypeError as error:
        raise WireError(str(error)) from None
    return message
