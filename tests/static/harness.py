"""Runs programs in plain CPython, screened, and screened and restricted, each in a child process of its own.

A worker (`worker.py`) is an interpreter with the static layers imported; it forks a child for each program, so a program that
crashes, hangs or breaks its interpreter costs that child. Nothing here isolates: hostile programs run under a CPU, memory and
file-size limit as this user, and are watched by an audit hook. The jail's own tests are elsewhere (`tests/security`).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sandboxd.policy import PolicySet

ROOT = Path(__file__).resolve().parents[2]
PLAIN, SCREENED, RESTRICTED, BARE, CONTROL = "plain", "screened", "restricted", "bare", "control"
"""The ways to run a program. BARE is layer 2 without the screen's rules before it, CONTROL plain CPython with the spies on."""
WITH_ASYNC: Mapping[str, Sequence[str]] = {
    "nodes_allow": ["@async"],
    "imports_allow": ["asyncio"],
    "attributes_allow": "__aenter__ __aexit__ __aiter__ __anext__ __await__ __get__ __set__ __delete__".split(),
}
"""What a policy may add to `pure`, and layer 2 takes: it is compared too."""
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one program.

    `status` is ran, refused, hang or crash. `events` are audit events that the program's own operations caused, `loot` what
    forbidden things it held in its variables at its end.
    """

    status: str
    stdout: str = ""
    value: str | None = None
    error: str = ""
    message: str = ""
    final: str | None = None
    refusals: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    loot: tuple[str, ...] = ()

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Ran:
        fields = dict(answer)
        for name in ("refusals", "hints", "events", "loot"):
            fields[name] = tuple(fields.get(name, ()))
        return cls(**fields)

    @property
    def seen(self) -> tuple[str, str | None, str]:
        """Return what a user sees: output, value, type of the error. Addresses are not comparable."""
        value = None if self.value is None else _ADDRESS.sub("0x", self.value)
        return _ADDRESS.sub("0x", self.stdout), value, self.error


class Lab:
    """One worker process. Not for two threads."""

    def __init__(
        self, policy: str = "pure", *, seconds: float = 5.0, root: Path = ROOT, **rules: Sequence[str]
    ) -> None:
        """Take a shipped policy's screen rules, some of them widened; `root` holds the packages to run."""
        shipped = PolicySet.load(None, default="default", allow_unscreened=True).get(policy).screen.as_json()
        wider = {name: [*shipped[name], *more] for name, more in rules.items()}
        self._form = shipped | wider | {"restricted": True}
        self._seconds = seconds
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def takes_async(self) -> bool:
        """Say whether the rules let async syntax through."""
        return "@async" in self._form["nodes_allow"]

    def run(self, source: str, way: str) -> Ran:
        """Run a program one way."""
        return self.run_all([(source, way)])[0]

    def run_all(self, programs: list[tuple[str, str]]) -> list[Ran]:
        """Run (source, way) pairs in their order."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for source, way in programs:
            process.stdin.write(json.dumps({"source": source, "way": way}).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the worker ended with {process.wait()} on {source[:500]!r}")
            answers.append(Ran.of(json.loads(line)))
        return answers

    def close(self) -> None:
        """End the worker."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait(timeout=30)
            self._process.stdout.close()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            options = {
                "root": str(self._root),
                "site": sysconfig.get_paths()["purelib"],
                "rules": self._form,
                "seconds": self._seconds,
            }
            # -I -S, as a zygote's interpreter; hash seeds agree because all programs run in forks of one process.
            command = [
                sys.executable,
                "-I",
                "-S",
                "-B",
                "-X",
                "utf8",
                str(Path(__file__).with_name("worker.py")),
            ]
            self._process = subprocess.Popen(
                [*command, json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
            )
        return self._process
