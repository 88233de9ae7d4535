"""Run `trial.py` and read what it reports."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCRIPT = str(Path(__file__).with_name("trial.py"))
_TIMEOUT_SECONDS = 30.0
JAIL_STEPS = ("unshare", "uid_map", "gid_map", "private", "tmpfs")
"""What must work before there can be a jail at all, in order."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying gave.

    Attributes:
        landlock_abi: 0 where there is none.
        errnos: step -> errno, 0 for success; a step that was not reached is absent.
        fault: why nothing could be tried; empty otherwise.
    """

    landlock_abi: int = 0
    errnos: Mapping[str, int] = field(default_factory=dict)
    fault: str = ""

    def first_failure(self) -> tuple[str, int] | None:
        """Name the first step of a jail that failed, with its errno."""
        for step in JAIL_STEPS:
            if self.errnos.get(step, -1) != 0:
                return step, self.errnos.get(step, -1)
        return None


def run_trial() -> Trial:
    """Try on this kernel, in a child; never raises."""
    try:
        answer = subprocess.run(
            [sys.executable, "-I", "-S", "-B", _SCRIPT],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_SECONDS,
        )
        report = {str(key): int(value) for key, value in json.loads(answer.stdout).items()}
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, AttributeError) as error:
        return Trial(fault=f"the trial did not answer: {type(error).__name__}")
    return Trial(landlock_abi=report.pop("landlock_abi", 0), errnos=report)
