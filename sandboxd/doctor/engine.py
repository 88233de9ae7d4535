"""Checks of the container engine, for policies that name `runc` or `runsc`. The engine is asked, and nothing is made."""

from __future__ import annotations

import asyncio
import grp
import re
import stat
from pathlib import Path
from typing import Any

from sandboxd.broker.allow_list import load_image
from sandboxd.broker.facts import find
from sandboxd.broker.http import Engine, EngineError, EngineGoneError
from sandboxd.doctor.facts import EngineTrial, Facts
from sandboxd.doctor.model import Check, Evidence, Subject
from sandboxd.errors import SandboxdError
from sandboxd.policy import Policy

ENGINE = Subject("container-engine", "daemon", "policies whose executor is runc or runsc")
RUNTIMES = Subject(
    "container-runtimes", "daemon", "a container's own kernel (gVisor), where a policy wants one"
)
SOCKET = Subject(
    "engine-socket", "daemon", "the host from everybody who may talk to the engine: they are its root"
)

# The oldest version of each line without the holes that matter to containers made by Docker. Newer lines began after them.
# runc: GHSA-9493-h29p-rfm2 (CVE-2025-31133), GHSA-qw9x-cqr3-wc7r (-52565), GHSA-cgrx-mc8f-2prm (-52881): ways out by races
#   of mounts; 1.1 was not mended, and the line before has CVE-2024-21626 (GHSA-xr7r-f8xq-vfvv) besides.
# containerd: GHSA-pwhc-rpq9-4c8w (CVE-2024-25621), its directories open to the host's users.
# Not counted: CVE-2026-41579 (runc), which takes a hostile image and not Docker; CVE-2024-40635 and CVE-2026-46680
#   (containerd), user ids over 2^31, and ours are below; CVE-2026-53488, -53489 and -53492, all in the CRI plugin, which
#   Docker does not use.
_MENDED = {"runc": {(1, 2): 8, (1, 3): 3}, "containerd": {(1, 7): 29, (2, 0): 7, (2, 1): 5}}
_CANDIDATE = {"runc": {(1, 4, 0): 3}}  # 1.4.0-rc.3 mended what rc.1 and rc.2 have
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-~]rc\.?(\d+))?")
_WORLD = 0o002


def try_engine(path: Path, images_dir: Path) -> EngineTrial:
    """Ask the engine what it is, and see who may reach it. Never raises."""
    try:
        found = path.stat()
    except OSError as error:
        return EngineTrial(str(path), str(images_dir), fault=f"{path}: {error.strerror}")
    mode, group = stat.S_IMODE(found.st_mode), _group(found.st_gid)
    facts: dict[str, Any] = {}
    fault = ""
    try:
        facts = asyncio.run(find(Engine(path)))[1]
    except (EngineError, EngineGoneError, OSError) as error:
        fault = str(error)[:300]
    return EngineTrial(str(path), str(images_dir), facts, fault, mode, group)


def _group(number: int) -> tuple[str, ...]:
    """Return a group's name and then its members."""
    try:
        entry = grp.getgrgid(number)
    except KeyError:
        return (str(number),)
    return (entry.gr_name, *entry.gr_mem)


def check_engine(facts: Facts) -> Check:
    """Tell which engine answers, and what is known to be wrong with its version."""
    engine = facts.engine
    if engine is None or not engine.facts:
        return ENGINE.missing(
            engine.fault if engine is not None else "not asked",
            Evidence.TRIED,
            why="sessions of such policies are refused; all others need no engine",
            remedy="Start one and name it with --engine-socket: sudo apt-get install docker.io",
        )
    told = engine.facts
    found = (
        f"{told['version']}, containerd {told['containerd'] or '?'}, runc {told['runc'] or '?'}, "
        f"cgroup v{told['cgroup_version']} by {told['cgroup_driver']}{', rootless' if told['rootless'] else ''}"
    )
    lacks = [name for name in ("seccomp", "memory_limit", "pids_limit", "swap_limit") if not told[name]]
    old = [name for name in _MENDED if is_known_bad(name, told[name])]
    if not lacks and not old:
        return ENGINE.ok(found, Evidence.TRIED)
    reasons = [f"without {', '.join(lacks)}"] if lacks else []
    reasons += [f"{name} {told[name]} has known ways out, unless its distribution mended it" for name in old]
    return ENGINE.degraded(
        found,
        Evidence.TRIED,
        why="; ".join(reasons),
        remedy="Update runc to 1.2.8, 1.3.3 or newer, containerd to 1.7.29, 2.0.7, 2.1.5 or newer; a distribution's "
        "changelog says what an older number has: apt-get changelog runc",
    )


def is_known_bad(name: str, version: str) -> bool:
    """Tell whether a version is older than what mended its line, by its number alone."""
    match = _VERSION.match(version)
    if match is None:
        return False  # nobody can tell
    line, patch = (int(match[1]), int(match[2])), int(match[3])
    mended = _MENDED[name]
    if match[4] is not None:  # a candidate comes before its version
        first = _CANDIDATE.get(name, {}).get((*line, patch), 0)
        return int(match[4]) < first or line < min(mended) or (line in mended and patch <= mended[line])
    return line < min(mended) or (line in mended and patch < mended[line])


def check_runtimes(facts: Facts) -> Check:
    """Tell which of the two runtimes the engine has."""
    engine = facts.engine
    if engine is None or not engine.facts:
        return RUNTIMES.unknown("no engine answers", "")
    found = list(engine.facts["runtimes"])
    if "runsc" in found:
        return RUNTIMES.ok(", ".join(found), Evidence.TRIED)
    return RUNTIMES.degraded(
        ", ".join(found) or "none",
        Evidence.TRIED,
        why="containers share the host's kernel; policies that want runsc (untrusted) are refused",
        remedy='sudo apt-get install runsc; then in /etc/docker/daemon.json: {"runtimes": {"runsc": {"path": '
        '"/usr/bin/runsc", "runtimeArgs": ["--network=none", "--oci-seccomp"]}}}, and restart the engine',
    )


def check_socket(facts: Facts) -> Check:
    """Tell who else can reach the engine: whoever can is root on this host."""
    engine = facts.engine
    if engine is None or not engine.group:
        return SOCKET.unknown("there is no socket", "")
    name, *members = engine.group
    found = f"mode {engine.mode:04o}, group {name}" + (f": {', '.join(members)}" if members else "")
    if engine.mode & _WORLD:
        remedy = f"sudo chmod o-rwx {engine.socket}"
        return SOCKET.degraded(
            found, Evidence.READ, why="everybody on this host can be root by it", remedy=remedy
        )
    if members:
        why = (
            "members of that group can be root by it; sandboxd's broker needs no more than its own user there"
        )
        remedy = f"sudo gpasswd -d USER {name}   # for each who is not to be root"
        return SOCKET.degraded(found, Evidence.READ, why=why, remedy=remedy)
    return SOCKET.ok(found, Evidence.READ)


def lacks(policy: Policy, facts: Facts) -> list[tuple[str, str, str]]:
    """Return what a container policy lacks here: name, reason, remedy."""
    engine = facts.engine
    tier = f"executor {policy.executor}"
    if engine is None or not engine.facts:
        said = engine.fault if engine is not None else "nobody asked an engine"
        return [(tier, said, "Start a container engine and name it with --engine-socket.")]
    found = []
    if policy.executor not in engine.facts["runtimes"]:
        found.append((tier, "the engine has no such runtime", check_runtimes(facts).remedy))
    if "user_namespace" in policy.require and policy.executor == "runc" and not engine.facts["userns"]:
        found.append(
            ("user_namespace", "the engine does not remap ids", "Set userns-remap in its daemon.json.")
        )
    found += [
        (name, "containers do not have it", "") for name in policy.require if name in _NEVER[policy.executor]
    ]
    if policy.limits.memory_enforce == "total" and not engine.facts["memory_limit"]:
        found.append(("cgroup_memory", "the engine cannot limit memory", ""))
    try:
        load_image(Path(engine.images_dir), policy.environment)
    except SandboxdError as error:
        found.append((f"image {policy.environment}", error.message, error.remedy))
    return found


_NEVER = {"runc": {"frozen_between_snippets"}, "runsc": {"frozen_between_snippets", "landlock"}}
