"""Other hosts as text: trees of files, and what trying answered there.

A host is `hosts/NAME.txt`. `@ PATH` begins a file of its tree, below which its lines stand. `= report` overrides the answers
of `trial.py` on a host where all works (`unreached`: steps that were not tried any more), `= cgroups` maps directories to
the errno of mkdir(2) there, or to the files that stood in the new group.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandboxd.doctor import Child, Facts, JailTrial, Library, Setup, Trial
from sandboxd.hosts import HostFiles

HOSTS = Path(__file__).parent / "hosts"
NAMES = sorted(path.stem for path in HOSTS.glob("*.txt"))
WORKS: dict[str, int] = {
    "uid": 1000,
    "gid": 1000,
    "nofile_soft": 65536,
    "nofile_hard": 524288,
    "nproc_soft": 60000,
    "core_soft": 0,
    "core_hard": -1,
    "clock_state": 0,
    "random": 0,
    "clock_ns": 40,
    **{
        f"call_{name}": 22
        for name in ("openat2", "close_range", "mount_setattr", "pidfd_open", "memfd_create")
    },
    "landlock_abi": 7,
    "landlock_errata": 7,
    "seccomp_filter": 14,
    "action_kill_process": 0,
    "action_errno": 0,
    "action_allow": 0,
    "speculation_store_bypass": 3,
    "set_store_bypass": 0,
    "speculation_indirect_branch": 3,
    "set_indirect_branch": 0,
    "core_scheduling": 22,
    "unshare": 0,
    "uid_map": 0,
    "gid_map": 0,
    "private": 0,
    "tmpfs": 0,
    "bind_read_only": 0,
    "cgroup_namespace": 0,
    "no_nested_userns": 0,
    "fresh_proc": 0,
}
LIBRARY = Library((2, 5, 5), 7)


def write_tree(root: Path, files: dict[str, str]) -> HostFiles:
    """Write files below `root`; their names may begin with a slash."""
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return HostFiles(root)


def _sections(name: str) -> tuple[dict[str, str], dict[str, str]]:
    files: dict[str, str] = {}
    data: dict[str, str] = {}
    kinds = {"@ ": files, "= ": data}
    target, key = files, ""
    for line in (HOSTS / f"{name}.txt").read_text().splitlines():
        if line[:2] in kinds:
            target, key = kinds[line[:2]], line[2:]
            target[key] = ""
        elif key:
            target[key] = f"{target[key]}\n{line}".lstrip("\n")
    return files, data


def other_host(
    root: Path,
    name: str,
    files: dict[str, str | None] | None = None,
    report: dict[str, int | None] | None = None,
    *,
    cgroups: dict[str, Any] | None = None,
    jail: JailTrial | None = None,
    setup: Setup | None = None,
    library: Library = LIBRARY,
) -> Facts:
    """Return the facts of a host, with some files and answers changed; None takes one away."""
    tree, data = _sections(name)
    wanted = {key: text for key, text in {**tree, **(files or {})}.items() if text is not None}
    said = json.loads(data["report"])
    unreached = said.pop("unreached", [])
    answers = {key: value for key, value in WORKS.items() if key not in unreached}
    answers = {
        key: value for key, value in {**answers, **said, **(report or {})}.items() if value is not None
    }
    groups = {key: _child(value) for key, value in {**json.loads(data["cgroups"]), **(cgroups or {})}.items()}
    trial = Trial(answers, groups, library, "x86_64")
    return Facts(
        write_tree(root, wanted), trial, jail, setup or Setup(environments={"base": ""}, state_writable=True)
    )


def _child(answer: int | list[str]) -> Child:
    return Child(answer) if isinstance(answer, int) else Child(0, frozenset(answer))
