"""The values that cross the parts: outcomes, usage, verdicts, protections, execution events. Frozen, and no I/O.

What the daemon measured itself is fact (`Usage`, `Outcome` with its `Evidence`). What a guest says is a claim and has a
type of its own (`ProgramError`, `Display`, `FinalAnswer`): bounded, never evaluated, never logged raw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


class Outcome(StrEnum):
    """How an execution ended: exactly one, in every tier."""

    OK = "ok"
    ERROR = "error"
    DENIED = "denied"
    TIMEOUT_WALL = "timeout_wall"
    TIMEOUT_CPU = "timeout_cpu"
    OOM = "oom"
    OUTPUT_LIMIT = "output_limit"
    CANCELLED = "cancelled"
    KILLED = "killed"
    CRASHED = "crashed"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Who saw the outcome, and what: `code` is the rule id, signal name, actor or error code the outcome has."""

    source: str = ""
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one execution used. What was not measured is None, never 0."""

    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    memory_peak_bytes: int | None = None
    pids_peak: int | None = None
    disk_bytes: int | None = None
    output_bytes: int | None = None
    tool_calls: int | None = None
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """Effective limits of a session. Times in seconds, sizes in bytes."""

    wall_seconds: float
    grace_seconds: float
    cpu_seconds: float
    memory_bytes: int
    disk_bytes: int
    output_bytes: int
    pids: int
    files: int = 16384  # inodes of /work and /tmp together
    memory_enforce: str = "per_process"  # or "total": needs a cgroup
    tool_calls: int = 0  # a snippet
    tool_bytes: int = 0  # arguments and results of a snippet's calls together
    tool_seconds: float = 0.0  # one call
    tool_wait_seconds: float = 0.0  # for which a snippet's clock may stand still in all
    forks: int = 0  # live clones and checkpoints of one session tree together


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The waiting boxes of one kind and the interpreter they are forked from, counted since the launcher's start.

    `hits` found one waiting, `joined` took the one in the making, `misses` made their own. A fresh kind has no common
    interpreter, so its last four are 0.
    """

    environment: str
    fresh: bool
    waiting: int
    target: int
    hits: int
    joined: int
    misses: int
    builds: int
    failures: int
    build_median_seconds: float | None  # of the last ones
    build_longest_seconds: float | None
    sandboxes: int  # that were opened from the present interpreter
    turnovers: int
    turnover_failures: int
    deaths: int


@dataclass(frozen=True, slots=True)
class Protection:
    """One control of a tier: whether it is active on this host, and why not."""

    name: str
    active: bool
    detail: str = ""


class Decision(StrEnum):
    """What the screen says."""

    ALLOW = "allow"
    WARN = "warn"
    DENY = "deny"
    ROUTE = "route"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that matched: where, why, and what the author can do. Lines and columns are 1-based code points."""

    rule: str
    rule_id: str
    severity: str
    message: str
    hint: str = ""
    symbol: str = ""
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    action: str = "deny"  # what the policy makes of the rule: deny, route, warn or audit


@dataclass(frozen=True, slots=True)
class SourceStats:
    """How large a screened source is; nodes and depth are 0 where it was not parsed."""

    source_bytes: int = 0
    lines: int = 0
    nodes: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The screen's answer for one source text under one policy.

    `min_tier` is the weakest tier that may run it: restricted, process, runc, runsc; "" where none may. `route_to` is the
    policy that takes it where the decision is `route`. `program` is the restricting compiler's code as marshal, from
    a process that read hostile text: only a guest may load it.
    """

    decision: Decision
    findings: tuple[Finding, ...] = ()
    truncated: bool = False
    policy: str = ""
    policy_digest: str = ""
    source_sha256: str = ""
    python_version: str = ""
    elapsed_seconds: float = 0.0
    imports: tuple[str, ...] = ()
    min_tier: str = ""
    route_to: str = ""
    stats: SourceStats = SourceStats()
    program: bytes = field(default=b"", repr=False, compare=False)
    binds: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """Names that it may leave to the session's next snippets; `*` where that cannot be told. A claim."""


class ToolCallers(StrEnum):
    """Who may call a tool."""

    CODE = "code"
    DIRECT = "direct"  # a model's JSON, through the client
    BOTH = "both"


class ToolState(StrEnum):
    """How a tool call ended; there is no sixth."""

    FINISHED = "finished"
    FAILED = "failed"  # the function raised, or its result was refused
    DENIED = "denied"  # it never reached the client
    TIMED_OUT = "timed_out"
    CUT_OFF = "cut_off"  # the snippet ended first


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function of the client, as code inside may call it. The schemas are checked JSON texts (protos/TOOLS.md)."""

    name: str
    description: str
    parameters_json: str
    returns_json: str = ""
    is_async: bool = False
    callers: ToolCallers = ToolCallers.BOTH
    timeout_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One tool call of a snippet, once it is over. Measured by the daemon, not by the guest."""

    call_id: str
    tool: str
    state: ToolState
    code: str = ""  # why not: a stable code, or the class of the client's exception
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that a snippet made or changed, relative to its work directory."""

    path: str
    size_bytes: int
    kind: str
    modified_at_seconds: float


# ---- what an execution emits, in order ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of stdout or stderr; `dropped_bytes` were left out before it (head and tail are kept)."""

    stream: str  # "stdout" or "stderr"
    data: bytes
    dropped_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Display:
    """A guest's display by Jupyter conventions: mime type -> text, or bytes for binary types. A claim."""

    data: dict[str, str | bytes]
    is_result: bool = False
    dropped_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ProgramError:
    """The program's own exception, as the guest tells it. A claim."""

    name: str
    message: str
    traceback: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What the program passed to `final_answer`: JSON where it is plain data, and its repr. A claim."""

    json: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """The end of one execution."""

    outcome: Outcome
    evidence: Evidence = field(default_factory=Evidence)
    text: str | None = None
    error: ProgramError | None = None
    usage: Usage = field(default_factory=Usage)
    limits_hit: tuple[str, ...] = ()
    final_answer: FinalAnswer | None = None
    stdout_dropped_bytes: int = 0
    stderr_dropped_bytes: int = 0
    variables_lost: bool = False
    tool_calls: tuple[ToolUse, ...] = ()
    tool_calls_left_out: int = 0
    files: tuple[MadeFile, ...] = ()
    files_truncated: bool = False
    rolled_back: bool = False
    restored_from: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the client is to run: checked, counted and recorded. `arguments_json` is an object."""

    call_id: str
    tool: str
    arguments_json: str
    timeout_seconds: float
    direct: bool = False


@dataclass(frozen=True, slots=True)
class ToolCallOver:
    """Nobody waits for this call any more."""

    call_id: str
    reason: str  # timeout or execution_ended


@dataclass(frozen=True, slots=True)
class ToolsSet:
    """A session has other tools now: these of them its policy allows."""

    allowed: tuple[str, ...]


ExecutionEvent: TypeAlias = Verdict | Output | Display | ToolCall | ToolCallOver | Result
