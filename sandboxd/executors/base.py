"""What every isolation tier can do, and what the daemon may ask of it.

`Executor` opens boxes; a `Box` is one sandbox with one interpreter that keeps its variables between executions.
Implementations: `sandboxd.executors.process` (the native jail, through the launcher).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sandboxd.events import Display, Limits, Output, PoolStats, Protection, Result, ToolUse

Sink = Callable[[Output | Display], None]
"""Takes what an execution emits, at once and without blocking. It must not raise."""


@dataclass(frozen=True, slots=True)
class BoxSpec:
    """What a box is to be. `display_id` is the session's public id; it names the cgroup."""

    display_id: str
    environment: str
    limits: Limits
    require: tuple[str, ...] = ()  # protections without which the open fails
    fresh: bool = False  # started from exec, with an address layout and a hash seed of its own


@dataclass(frozen=True, slots=True)
class Job:
    """One execution. `deadline_seconds` counts from the start; the grace comes from the box's limits.

    `program` is what a restricting policy runs in place of `code`: marshal, for the guest alone to load.
    """

    execution_id: str
    code: str
    deadline_seconds: float
    program: bytes = b""
    tools_json: str = ""  # what the guest is told of the tools that code may call; "" where there are none
    port: ToolPort | None = None


@dataclass(frozen=True, slots=True)
class GuestCall:
    """A tool call as a guest claims it: bounded in size, and nothing else of it is checked yet."""

    number: int  # the guest's own
    tool: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What the guest hears of its call: a value as JSON, or an error with a stable code."""

    number: int
    value_json: str = ""
    error_code: str = ""  # of `sandboxd.errors.Code`, or "" with a name: the client's function raised
    error_name: str = ""
    error_message: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether there is a value."""
        return not self.error_code and not self.error_name


@dataclass(frozen=True, slots=True)
class ToolTally:
    """The tool calls of an execution, in order, as far as they are kept one by one."""

    uses: tuple[ToolUse, ...] = ()
    left_out: int = 0
    limit_hit: bool = False

    @property
    def calls(self) -> int:
        """How many there were."""
        return len(self.uses) + self.left_out


class ToolPort(Protocol):
    """Where the tool calls of one execution go. On the event loop; no method blocks or raises."""

    def begin(self, on_wait: Callable[[bool], None]) -> None:
        """Say when the client has a call to run, and when it has none any more: the clock stands still between."""

    def call(self, call: GuestCall, answer: Callable[[ToolAnswer], None]) -> None:
        """Take a call; `answer` is called once, at once or later, unless `finish` came first."""

    def drop(self, number: int) -> None:
        """Nobody inside waits for this call any more; its answer ends it all the same."""

    def finish(self) -> ToolTally:
        """The execution is over: cut off what is out."""


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file below /work, as the box's own kernel view tells it. `kind` is file, directory or other."""

    path: str
    size_bytes: int
    kind: str
    modified_at_seconds: float


class Box(Protocol):
    """One open sandbox. All methods run on the event loop that opened it; one execute at a time."""

    protections: tuple[Protection, ...]
    python_version: str
    pooled: bool
    """Whether it had been waiting, ready made."""

    async def execute(self, job: Job, sink: Sink) -> Result:
        """Run one job to its end; never raises for what the program does. `Result` holds outcome and usage."""

    def rest(self) -> None:
        """Stop all that runs in the box until the next job: the last one's result is out. Idempotent."""

    def cancel(self, code: str) -> None:
        """Interrupt the running job, kill it after the grace. `code` is the actor: client, operator, lease."""

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """Call back once, with a reason, when the box is gone without having been closed."""

    async def open_file(self, path: str, mode: str) -> tuple[int, FileStat]:
        """Open a regular file below /work: mode "r", or "w" for a new temporary that `commit_file` puts in place.

        Returns a descriptor that the caller owns, and what fstat said.

        Raises:
            SandboxdError: FILE_NOT_FOUND, FILE_PATH_INVALID, FILE_NOT_REGULAR, FILE_FAILED.
        """

    async def commit_file(self, path: str, *, keep: bool) -> FileStat | None:
        """Rename the temporary of `open_file(path, "w")` onto `path`, or with keep=False remove it."""

    async def list_files(self, path: str) -> tuple[list[FileStat], bool]:
        """List a directory, 10,000 entries at most and not recursively; the flag tells whether more are there."""

    async def stat_file(self, path: str) -> FileStat:
        """Stat one path without following links."""

    async def remove_file(self, path: str) -> None:
        """Remove a file or an empty directory."""

    async def rename_file(self, path: str, new_path: str) -> FileStat:
        """Give a file or directory another name, in one step; a file of that name is replaced, parents are made."""

    async def make_directory(self, path: str) -> FileStat:
        """Make a directory with its parents; one that is there already is no error."""

    workdir: str
    """Where relative paths lead: /work, and for a clone a directory of its own."""

    @property
    def variables_lost(self) -> bool:
        """Whether the interpreter was replaced, and no result has said so yet."""

    async def fork(self, count: int) -> list[Box]:
        """Clone the idle interpreter, all or none. Each clone is a box of the same tree with a life of its own.

        Raises:
            SandboxdError: FORK_REFUSED, FORK_FAILED, FORK_LIMIT, SESSION_BUSY, SESSION_LOST; nothing has changed then.
        """

    async def checkpoint(self, name: str) -> None:
        """Keep a stopped clone of the idle interpreter and a copy of its work directory; replaces one of that name.

        Raises:
            SandboxdError: as for `fork`.
        """

    async def rollback(self, name: str) -> None:
        """Put interpreter and work directory back to a checkpoint, which stays. A dead interpreter comes back too.

        Raises:
            SandboxdError: CHECKPOINT_NOT_FOUND, FORK_FAILED, SESSION_BUSY, SESSION_LOST.
        """

    async def drop_checkpoint(self, name: str) -> None:
        """Let a checkpoint go. Raises SandboxdError: CHECKPOINT_NOT_FOUND."""

    def checkpoints(self) -> tuple[tuple[str, float], ...]:
        """List names and Unix times of the checkpoints, oldest first."""

    async def close(self) -> None:
        """End this box and wait until nothing of it is left; its tree ends with the last box of it. Idempotent."""


class Executor(Protocol):
    """One isolation tier on this host."""

    name: str

    async def start(self) -> None:
        """Bring the tier up. Raises StartError naming what is missing and the remedy."""

    async def open(self, spec: BoxSpec) -> Box:
        """Open a box.

        Raises:
            SandboxdError: PROTECTION_MISSING, ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED, JAIL_FAILED,
                EXECUTOR_UNAVAILABLE.
        """

    def environment(self, name: str) -> EnvironmentInfo:
        """Tell what an environment holds.

        Raises:
            SandboxdError: ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED.
        """

    async def pools(self) -> tuple[PoolStats, ...]:
        """Count what waits for sessions.

        Raises:
            SandboxdError: EXECUTOR_UNAVAILABLE.
        """

    async def close(self) -> None:
        """Close every box and stop the tier."""


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """An interpreter with its installed packages ("name==version")."""

    name: str
    python_version: str
    packages: tuple[str, ...]
