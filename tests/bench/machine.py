"""The machine and the moment: what a figure means nothing without."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.bench.setup import ROOT

NOISY = 0.10


def facts() -> dict[str, str]:
    """Name the machine, the software and the commit."""
    version = re.match(r"[\d.]+", platform.release())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "processor": _processor(),
        "kernel": f"Linux {version.group() if version else platform.release()}",
        "python": platform.python_version(),
        "user": "root" if os.geteuid() == 0 else "an ordinary user",
        "cgroups": "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1",
    }


def others_share(seconds: float) -> float:
    """Return the share of all processors that others use right now, this process asleep."""
    before = psutil.cpu_times()
    time.sleep(seconds)
    after = psutil.cpu_times()
    total = sum(after) - sum(before)
    idle = after.idle - before.idle + after.iowait - before.iowait
    return 1 - idle / total if total else 0.0


def _commit() -> str:
    def git(*words: str) -> str:
        ended = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return ended.stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    except FileNotFoundError:
        return "unknown"
    return f"{commit}{changed}" if commit else "unknown"


def _processor() -> str:
    """Return vendor and architecture: the exact model is no use to a reader of ratios."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("vendor_id"):
            return f"{platform.machine()} ({line.split(':')[1].strip()})"
    return platform.machine()
