"""The typed protocol between front and broker. Descriptors travel beside a message in the order its docstring says.

Requests carry `request`; the reply (or `Failed`) repeats it. Messages without one are notices. Both directions are read
strictly: an unknown operation or field, a missing one, or one of another type ends the connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeAlias

from sandboxd.jail.wire import WireError

_CONTAINER = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HEX = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Hello:
    """Front → broker, once. Answered by `Ready` or `Failed`. Removes what dead runs with this owner left."""

    op: ClassVar[str] = "hello"
    request: int
    owner: str
    instance: str
    socket: str
    images_dir: str
    guest_dir: str


@dataclass(frozen=True, slots=True)
class Ready:
    """Broker → front: the engine answers; `engine` says what it is (`sandboxd.broker.facts`)."""

    op: ClassVar[str] = "ready"
    request: int
    engine: dict[str, Any]
    removed: int  # containers that a dead run had left


@dataclass(frozen=True, slots=True)
class Launch:
    """Front → broker: create, attach, start, or nothing at all. Answered by `Launched` or `Failed`."""

    op: ClassVar[str] = "launch"
    request: int
    image: str  # a name of the allow-list
    runtime: str
    memory_bytes: int
    disk_bytes: int
    files: int
    pids: int
    cpus: float


@dataclass(frozen=True, slots=True)
class Launched:
    """Broker → front, with descriptors: the attached stream, then those of `counters`."""

    op: ClassVar[str] = "launched"
    request: int
    container: str
    counters: list[str]  # what `sandboxd.launcher.meter` reads
    facts: dict[str, str]  # name -> detail, of what was read back from the engine and the kernel


@dataclass(frozen=True, slots=True)
class Assign:
    """Front → broker, no reply: a session has this container now. Its name says so; labels cannot be changed."""

    op: ClassVar[str] = "assign"
    container: str
    display_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Front → broker: kill and remove. Answered by `Stopped` once nothing of it is left."""

    op: ClassVar[str] = "stop"
    request: int
    container: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Broker → front: it is gone. `oom` and `exit_code` (-1: unknown) are the engine's word on its end."""

    op: ClassVar[str] = "stopped"
    request: int
    oom: bool
    exit_code: int


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Front → broker: remove every container of this owner that is not among these. Answered by `Reconciled`."""

    op: ClassVar[str] = "reconcile"
    request: int
    keep: list[str]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Broker → front: how many were removed."""

    op: ClassVar[str] = "reconciled"
    request: int
    removed: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Broker → front: a request failed. `code` is one of `sandboxd.errors.Code`."""

    op: ClassVar[str] = "failed"
    request: int
    code: str
    message: str
    remedy: str


FrontMessage: TypeAlias = Hello | Launch | Assign | Stop | Reconcile
BrokerMessage: TypeAlias = Ready | Launched | Stopped | Reconciled | Failed

_FROM_FRONT = {kind.op: kind for kind in (Hello, Launch, Assign, Stop, Reconcile)}
_FROM_BROKER = {kind.op: kind for kind in (Ready, Launched, Stopped, Reconciled, Failed)}
_PLAIN: dict[str, type[Any]] = {
    "int": int, "str": str, "bool": bool, "float": float, "dict": dict, "list": list,
}  # fmt: skip
# A name goes into paths and queries of the engine's: its form is checked before anything else sees it.
_FORMS = {
    "container": _CONTAINER, "image": _NAME, "runtime": re.compile("runc|runsc"), "owner": _HEX, "instance": _HEX,
    "display_id": _NAME,
}  # fmt: skip


def encode(message: FrontMessage | BrokerMessage) -> dict[str, Any]:
    """Return the JSON object of a message."""
    return {"op": message.op, **{one.name: getattr(message, one.name) for one in fields(message)}}


def from_front(raw: dict[str, Any]) -> FrontMessage:
    """Return what the front says.

    Raises:
        WireError: it is not exactly one of its messages.
    """
    message: FrontMessage = _decode(raw, _FROM_FRONT)
    return message


def from_broker(raw: dict[str, Any]) -> BrokerMessage:
    """Return what the broker says.

    Raises:
        WireError: it is not exactly one of its messages.
    """
    message: BrokerMessage = _decode(raw, _FROM_BROKER)
    return message


def _decode(raw: dict[str, Any], kinds: dict[str, Any]) -> Any:
    body = dict(raw)
    kind = kinds.get(body.pop("op"))
    if kind is None:
        raise WireError(f"unknown operation {raw['op']!r:.40}")
    wanted = {one.name: str(one.type) for one in fields(kind)}
    if wanted.keys() != body.keys():
        raise WireError(f"{kind.op} with fields {sorted(body)!r:.200}")
    for name, type_name in wanted.items():
        _check(kind.op, name, body[name], _PLAIN[type_name.partition("[")[0]])
    return kind(**body)


def _check(op: str, name: str, value: Any, kind: type[Any]) -> None:
    whole = type(value) is int and kind is float
    if type(value) is not kind and not whole:
        raise WireError(f"{op}: {name} is no {kind.__name__}")
    if kind in {int, float} and name != "exit_code" and not 0 <= value < 1 << 60:
        raise WireError(f"{op}: {name} is out of range")
    form = _FORMS.get(name)
    if form is not None and form.fullmatch(value) is None:
        raise WireError(f"{op}: {name} has not its form")
    if name == "keep" and not all(isinstance(one, str) and _CONTAINER.fullmatch(one) for one in value):
        raise WireError(f"{op}: {name} are no containers")
