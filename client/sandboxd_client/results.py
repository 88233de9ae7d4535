"""What `run_code` and `check` return. Frozen values, no I/O.

Facts and claims: outcome, evidence and usage are what the daemon measured itself. Text, results, logs,
error and final answer are what the sandboxed program said: show them, never evaluate them, and never put a
result's HTML into a page unescaped. A notebook gets it in a frame that runs and loads nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ._notebook import bundle
from .info import FileInfo

MIME_TEXT = "text/plain"
MIME_HTML = "text/html"
MIME_MARKDOWN = "text/markdown"
MIME_LATEX = "text/latex"
MIME_SVG = "image/svg+xml"
MIME_PNG = "image/png"
MIME_JPEG = "image/jpeg"
MIME_JSON = "application/json"
MIME_PDF = "application/pdf"
MIME_TABLE = "application/vnd.sandboxd.table+json"


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
    UNKNOWN = "unknown"  # of a newer daemon, that this client does not know


@dataclass(frozen=True, slots=True)
class Evidence:
    """Who saw the outcome, and what: `code` is the rule id, signal name, actor or error code it has."""

    code: str = ""
    source: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one execution used. What was not measured is None; `sources` says where a figure is from."""

    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    memory_peak_bytes: int | None = None
    pids_peak: int | None = None
    disk_bytes: int | None = None
    output_bytes: int | None = None
    tool_calls: int | None = None
    sources: dict[str, str] = field(default_factory=dict)


class ToolState(StrEnum):
    """How a tool call ended: exactly one."""

    FINISHED = "finished"
    FAILED = "failed"  # the function raised, or its result was refused
    DENIED = "denied"  # it never reached the function: unknown, schema, policy or budget
    TIMED_OUT = "timed_out"  # whether it took effect is not known
    CUT_OFF = "cut_off"  # the snippet ended first: whether it took effect is not known
    UNKNOWN = "unknown"  # of a newer daemon, that this client does not know


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call of an execution, as the daemon saw it.

    `code` says why it did not finish: a stable code, or the class of the function's exception.
    """

    call_id: str
    tool: str
    state: ToolState
    code: str = ""
    seconds: float = 0.0


class Decision(StrEnum):
    """What the screen says."""

    ALLOW = "allow"
    WARN = "warn"
    DENY = "deny"
    ROUTE = "route"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that matched: where, why, and what to do. Lines and columns are 1-based code points."""

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
    action: str = "deny"


@dataclass(frozen=True, slots=True)
class SourceStats:
    """How large a screened source is; nodes and depth are 0 where it was not parsed."""

    source_bytes: int = 0
    lines: int = 0
    nodes: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The screen's answer for one source text under one policy; findings come worst first.

    `min_tier` is the weakest tier that may run it, `route_to` the policy that takes it where the decision is `route`.
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

    @property
    def allowed(self) -> bool:
        """Say whether the code may run under this policy: any decision but an allowing one is a no."""
        return self.decision in {Decision.ALLOW, Decision.WARN}

    @property
    def routable(self) -> bool:
        """Say whether another policy takes the code, `route_to`: a one-shot moves there, an open sandbox cannot."""
        return self.decision is Decision.ROUTE and bool(self.route_to)


@dataclass(frozen=True, slots=True)
class Logs:
    """What was printed, in pieces as they arrived; joined they are the whole output."""

    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ExecutionError:
    """The program's own exception, as the program tells it; `line` is 0 where it is unknown."""

    name: str
    value: str
    traceback: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What the program passed to `final_answer`: JSON where it is plain data (else ""), and its repr."""

    json: str
    text: str

    @property
    def value(self) -> Any:
        """Return the plain data, or the repr where there is none."""
        return _parse_json(self.json) if self.json else self.text


@dataclass(frozen=True, slots=True)
class Result:
    """One displayed value by Jupyter's conventions: mime type -> text, or bytes for binary types."""

    data: dict[str, str | bytes]
    is_main_result: bool = False
    dropped_bytes: int = 0

    def formats(self) -> tuple[str, ...]:
        """List the mime types."""
        return tuple(self.data)

    @property
    def text(self) -> str | None:
        """Return the plain text."""
        return self._text(MIME_TEXT)

    @property
    def html(self) -> str | None:
        """Return the HTML: a stranger's, so escape it or sandbox it where it is shown."""
        return self._text(MIME_HTML)

    @property
    def markdown(self) -> str | None:
        """Return the Markdown."""
        return self._text(MIME_MARKDOWN)

    @property
    def latex(self) -> str | None:
        """Return the LaTeX."""
        return self._text(MIME_LATEX)

    @property
    def svg(self) -> str | None:
        """Return the SVG: a stranger's, and it may hold scripts."""
        return self._text(MIME_SVG)

    @property
    def png(self) -> bytes | None:
        """Return the PNG's bytes."""
        return self._bytes(MIME_PNG)

    @property
    def jpeg(self) -> bytes | None:
        """Return the JPEG's bytes."""
        return self._bytes(MIME_JPEG)

    @property
    def json(self) -> Any:
        """Return the parsed JSON, or None where there is none that parses."""
        text = self._text(MIME_JSON)
        return None if text is None else _parse_json(text)

    @property
    def pdf(self) -> bytes | None:
        """Return the PDF's bytes."""
        return self._bytes(MIME_PDF)

    @property
    def table(self) -> dict[str, Any] | None:
        """Return a table's first rows as columns of JSON, or None.

        Keys: columns, dtypes, index, index_dtype, data (one list a column), row_count and column_count of the whole,
        truncated.
        """
        text = self._text(MIME_TABLE)
        parsed = None if text is None else _parse_json(text)
        return parsed if isinstance(parsed, dict) else None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str | bytes]:
        """Show this in a notebook; see `_notebook` for what of it."""
        del include, exclude
        return bundle(self.data)

    def _text(self, mime: str) -> str | None:
        value = self.data.get(mime)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def _bytes(self, mime: str) -> bytes | None:
        value = self.data.get(mime)
        return value if isinstance(value, bytes) else None


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution, from its verdict to its usage.

    `routing` is the verdict that moved a one-shot to another policy, None where it stayed.

    `rolled_back`: by `on_error="rollback"` variables and files are as before the code ran. `restored_from`: the interpreter
    was lost and a checkpoint brought the session back, `before:` the execution whose id it names.

    `text` is the repr of the last expression's value, or None. `output_expired` says that outcome and usage
    come from the daemon's log and that output and results were no longer kept.

    `files` are those below the work directory that the program made or changed, as the daemon found them; `files_truncated`
    says that there may be more.
    come from the daemon's log and that output and results were no longer kept. `tool_calls` are in the order in which the
    program made them; `tool_calls_left_out` more are not listed.
    """

    execution_id: str
    outcome: Outcome
    evidence: Evidence = field(default_factory=Evidence)
    text: str | None = None
    results: list[Result] = field(default_factory=list)
    logs: Logs = field(default_factory=Logs)
    error: ExecutionError | None = None
    usage: Usage = field(default_factory=Usage)
    verdict: Verdict | None = None
    final_answer: FinalAnswer | None = None
    limits_hit: tuple[str, ...] = ()
    variables_lost: bool = False
    output_expired: bool = False
    routing: Verdict | None = None
    rolled_back: bool = False
    restored_from: str = ""
    files: list[FileInfo] = field(default_factory=list)
    files_truncated: bool = False
    tool_calls: tuple[ToolUse, ...] = ()
    tool_calls_left_out: int = 0

    @property
    def ok(self) -> bool:
        """Say whether the program ran to its end without an exception."""
        return self.outcome is Outcome.OK

    @property
    def stdout(self) -> str:
        """Return the whole standard output."""
        return "".join(self.logs.stdout)

    @property
    def stderr(self) -> str:
        """Return the whole standard error."""
        return "".join(self.logs.stderr)


def _parse_json(text: str) -> Any:
    """Parse a claim: what is too deep, too long a number or no JSON is None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
