"""What an engine is and can do, read once: the doctor tells it, and an open is refused by it."""

from __future__ import annotations

import re
from typing import Any

from sandboxd.broker.http import Engine, EngineGoneError
from sandboxd.broker.spec import RUNTIMES

PROBE_SECONDS = 10.0
# The newest version of the interface that this code was written against; an engine offers a range.
NEWEST_API = (1, 47)
_VERSION = re.compile(r"(\d+)\.(\d+)")


async def find(engine: Engine) -> tuple[Engine, dict[str, Any]]:
    """Agree on the interface's version; return the engine to call, and facts as plain values.

    Raises:
        EngineError: it refuses.
        EngineGoneError: it does not answer.
    """
    version = await engine.call("GET", "/version", seconds=PROBE_SECONDS)
    if not isinstance(version, dict):
        raise EngineGoneError("the engine does not tell its version")
    newest, oldest = _pair(version.get("ApiVersion")), _pair(version.get("MinAPIVersion"))
    chosen = max(oldest, min(newest, NEWEST_API))
    agreed = Engine(engine.path, f"/v{chosen[0]}.{chosen[1]}")
    info = await agreed.call("GET", "/info", seconds=PROBE_SECONDS)
    return agreed, _facts(version, info)


def _pair(text: Any) -> tuple[int, int]:
    found = _VERSION.match(str(text))
    if found is None:
        raise EngineGoneError("the engine does not tell its interface's version")
    return int(found[1]), int(found[2])


def _facts(version: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    parts = {str(one.get("Name")): str(one.get("Version")) for one in version.get("Components") or ()}
    return {
        "version": str(version.get("Version", "")),
        "containerd": parts.get("containerd", ""),
        "runc": parts.get("runc", ""),
        "runtimes": sorted(name for name in RUNTIMES if name in (info.get("Runtimes") or {})),
        "cgroup_version": str(info.get("CgroupVersion", "")),
        "cgroup_driver": str(info.get("CgroupDriver", "")),
        "storage_driver": str(info.get("Driver", "")),
        "seccomp": any(option.startswith("name=seccomp") for option in options),
        "rootless": "name=rootless" in options,
        "userns": "name=userns" in options,
        "memory_limit": info.get("MemoryLimit") is True,
        "swap_limit": info.get("SwapLimit") is True,
        "pids_limit": info.get("PidsLimit") is True,
        "live_restore": info.get("LiveRestoreEnabled") is True,
    }
