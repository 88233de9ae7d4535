"""What a sandbox is and what its policy allows. Frozen values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from .tools import Tool

FileKind: TypeAlias = Literal["file", "directory", "other"]
OnError: TypeAlias = Literal["keep", "rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a session: wanted ones may only narrow the policy's; None leaves one as the policy has it."""

    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    output_bytes: int | None = None
    pids: int | None = None
    tool_calls: int | None = None
    tool_bytes: int | None = None
    tool_seconds: float | None = None
    tool_wait_seconds: float | None = None
    forks: int | None = None


class SandboxOptions(TypedDict, total=False):
    """What a sandbox's constructor takes by name: see there."""

    limits: Limits | None
    labels: Mapping[str, str] | None
    lease_seconds: float | None
    fresh: bool
    idle_seconds: float | None
    lifetime_seconds: float | None
    tools: Sequence[Tool | Callable[..., Any]]
    open_timeout: float
    request_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePage:
    """A rule of the screen: `markdown` is its page, `actions` what a policy may make of it."""

    rule: str
    rule_id: str
    summary: str
    markdown: str = ""
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Protection:
    """One control of the sandbox: whether it is active on this host, and why not."""

    name: str
    active: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """What the daemon said when the session was opened. `display_id` is safe to log.

    `pooled` tells whether the sandbox had been waiting, ready made. At `expires_at_seconds`, a Unix time, it ends however
    much it is used. `workdir` is where relative paths lead, in a clone a directory of its own; `forked_from` is whose
    clone it is.
    """

    display_id: str
    policy: str
    policy_digest: str
    limits: Limits
    grace_seconds: float
    lease_seconds: float
    protections: tuple[Protection, ...]
    environment: str
    python_version: str
    executor: str
    pooled: bool = False
    idle_seconds: float = 0.0
    expires_at_seconds: float = 0.0
    workdir: str = "/work"
    forked_from: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state that a session can be brought back to: variables and files. `created_at_seconds` is a Unix time."""

    name: str
    created_at_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """An open session as lists show it, without its id. At `expires_at_seconds` it ends if nothing more is asked of it."""

    display_id: str
    policy: str
    state: str
    created_at_seconds: float
    expires_at_seconds: float
    executions: int
    labels: Mapping[str, str]
    forked_from: str = ""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file below the sandbox's work directory. The path is a claim: never open it on this side."""

    path: str
    size_bytes: int
    kind: FileKind
    modified_at_seconds: float

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition("/")[2]


class FileList(list[FileInfo]):
    """The entries of a directory; `truncated` says that it has more than the daemon lists."""

    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInfo:
    """What a policy really allows, as the daemon enforces it; `packages` are "name==version".

    `restricted` says that code is compiled for guards, `route_to` where a one-shot may move that needs more.
    """

    name: str
    description: str
    digest: str
    is_default: bool
    limits: Limits
    grace_seconds: float
    allowed_imports: tuple[str, ...]
    denied_builtins: tuple[str, ...]
    environment: str
    python_version: str
    packages: tuple[str, ...]
    yaml: str
    screened: bool
    restricted: bool = False
    executor: str = ""
    route_to: tuple[str, ...] = ()
