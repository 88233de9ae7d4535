"""A sandbox without a boundary, for the loop's logic alone: it runs nothing but the tests' own snippets."""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import json
import traceback
from dataclasses import dataclass, field

from sandboxd_client.errors import RefusedError, SandboxError
from sandboxd_client.info import FileInfo, Limits, PolicyInfo
from sandboxd_client.results import (
    Decision,
    Evidence,
    Execution,
    ExecutionError,
    FinalAnswer,
    Finding,
    Logs,
    Outcome,
    Result,
    Verdict,
)

POLICY = PolicyInfo(
    name="tiny",
    description="",
    digest="d" * 64,
    is_default=False,
    limits=Limits(wall_seconds=30, memory_bytes=1024**3, disk_bytes=256 * 1024**2),
    grace_seconds=0.25,
    allowed_imports=("json", "numpy.*", "python_dateutil"),
    denied_builtins=("eval", "exec"),
    environment="base",
    python_version="3.11.7",
    packages=("numpy==2.4.6", "six==1.17", "python-dateutil==2.9"),
    yaml="",
    screened=True,
)


@dataclass
class TinyFiles:
    """Files in a dictionary."""

    content: dict[str, bytes] = field(default_factory=dict)
    gone: bool = False
    clock: itertools.count[int] = field(default_factory=itertools.count)
    times: dict[str, float] = field(default_factory=dict)

    async def write(self, path: str, data: bytes) -> FileInfo:
        self.content[path] = data
        self.times[path] = float(next(self.clock))
        return self._info(path)

    async def read(self, path: str, *, format: str = "text") -> bytes:  # noqa: A002
        assert format == "bytes"
        return self.content[path]

    async def list(self, path: str = ".") -> list[FileInfo]:
        if self.gone:
            raise SandboxError("SESSION_LOST", "The session is gone.")
        return [self._info(name) for name in self.content]

    def _info(self, path: str) -> FileInfo:
        return FileInfo(path, len(self.content[path]), "file", self.times.get(path, -1.0))


class TinySandbox:
    """Runs cells in one namespace; answers what it is told to where `scripted` holds something."""

    def __init__(self, scripted: dict[str, Execution | SandboxError] | None = None) -> None:
        self.files = TinyFiles()
        self.ran: list[str] = []
        self.timeouts: list[float | None] = []
        self.policy = POLICY
        self._scripted = scripted or {}
        self._final: FinalAnswer | None = None
        self._images: list[Result] = []
        self._names = {"final_answer": self._answer, "show": self._show, "put": self._put}

    async def policy_info(self) -> PolicyInfo:
        return self.policy

    async def run_code(self, code: str, *, timeout: float | None = None) -> Execution:
        self.ran.append(code)
        self.timeouts.append(timeout)
        for word, told in self._scripted.items():
            if word in code:
                if isinstance(told, SandboxError):
                    raise told
                return told
        return self._cell(code)

    def _cell(self, code: str) -> Execution:
        self._final, self._images = None, []
        printed = io.StringIO()
        error = None
        text = None
        try:
            with contextlib.redirect_stdout(printed):
                tree = ast.parse(code)
                last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
                exec(compile(tree, "<cell>", "exec"), self._names)
                if last is not None:
                    value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), self._names)
                    text = None if value is None else repr(value)
        except Exception as caught:  # noqa: BLE001
            error = ExecutionError(type(caught).__name__, str(caught), traceback.format_exc(limit=-1))
        return Execution(
            f"execution-{len(self.ran)}",
            Outcome.ERROR if error else Outcome.OK,
            text=text,
            results=self._images,
            logs=Logs([printed.getvalue()], []),
            error=error,
            final_answer=self._final,
        )

    def _answer(self, value: object) -> None:
        self._final = FinalAnswer(json.dumps(value), repr(value))

    def _show(self, png: bytes) -> None:
        self._images.append(Result({"image/png": png}))

    def _put(self, name: str, data: bytes) -> None:
        self.files.content[name] = data


def denied(message: str, hint: str, line: int, column: int) -> Execution:
    """Return what a refusal by the screen looks like."""
    finding = Finding("import-not-allowed", "SBX301", "error", message, hint, "os", line, column)
    return Execution(
        "execution-denied",
        Outcome.DENIED,
        Evidence("SBX301", "screen"),
        verdict=Verdict(Decision.DENY, (finding,)),
    )


def ended(outcome: Outcome, code: str = "", **more: object) -> Execution:
    """Return an execution that ended so."""
    return Execution("execution-ended", outcome, Evidence(code, "deadline"), **more)  # type: ignore[arg-type]


REFUSED = RefusedError("QUOTA_SESSIONS", "Too many sessions.")
