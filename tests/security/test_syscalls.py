"""What becomes of every system call in a box: a golden table, made by calling them, through the real daemon.

"allowed" means that it reached the kernel. EPERM and ENOSYS are the filter's; ENOSYS is the default, so a call that a later
kernel brings is refused before anyone here knows its name.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pyseccomp
import pytest
from rig import rig

from sandboxd.seccomp import names

pytestmark = [
    pytest.mark.userns,
    pytest.mark.timeout(180),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the table is x86-64's"),
]

TABLE = Path(__file__).parent / "golden" / "syscalls_x86_64.txt"
LAST = 600  # the highest number of Linux 6.18 is below 480
PROBES = {
    335,
    336,
}  # uretprobe and uprobe: the kernel ends who calls them without being a probe, filter or not
SPECIAL = {202: [-1, 1, 1, 0, 0, 0]}  # futex: the kernel itself says ENOSYS to an operation it does not know
CHECKED = (
    "clone",
    "socketpair",
    "ioctl",
    "prctl",
    "fcntl",
    "prlimit64",
    "setrlimit",
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
)  # allowed for some arguments
ARGUMENTS: dict[str, tuple[int, list[int]]] = {
    "getpid by x32": (0x40000000 + 39, []),
    "execve by x32": (0x40000000 + 520, []),
    "ptrace by x32": (0x40000000 + 521, []),
    "number 1 << 31": (1 << 31, []),
    **{f"clone, namespace flag {flag:#x}": (56, [flag | 17, 0, 0, 0, 0]) for flag in
       (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)},
    **{f"ioctl {request:#x}": (16, [1, request, 0]) for request in (0x5401, 0x5412, 0x5413, 0x541B, 0x541C, 0x540E, 0x5421, 0x40085203)},
    **{f"ioctl {request:#x}, high bits": (16, [1, request | 1 << 32, 0]) for request in (0x5401, 0x5412)},
    **{f"prctl {option}": (157, [option, 0, 0, 0, 0]) for option in range(80)},
    **{f"prctl {option}, high bits": (157, [option | 1 << 32, 0, 0, 0, 0]) for option in (1, 3, 4, 22)},
    **{f"fcntl {command}": (72, [1, command, 0]) for command in (*range(20), 36, 37, 38, *range(1024, 1042))},
    **{f"socketpair, family {family}": (53, [family, 1, 0, 0]) for family in range(46)},
    "socketpair, family 1, high bits": (53, [1 | 1 << 32, 1, 0, 0]),
    **{f"landlock_create_ruleset, flags {flags}": (444, [0, 0, flags, 0, 0, 0]) for flags in range(4)},
    **{f"landlock_add_rule, type {kind}": (445, [-1, kind, 0, 0, 0, 0]) for kind in range(4)},
    **{f"landlock_restrict_self, flags {flags}": (446, [-1, flags, 0, 0, 0, 0]) for flags in (0, 1, 2, 4)},
    "prlimit64 of itself": (302, [0, 7, 0, 0]),
    "prlimit64 of pid 1": (302, [1, 7, 0, 0]),
    "prlimit64 of itself, high bits": (302, [1 << 32, 7, 0, 0]),
}  # fmt: skip


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """Sweep in boxes of the real daemon."""
    wanted = [
        [str(number), number, SPECIAL.get(number, [])] for number in range(LAST) if number not in PROBES
    ]
    wanted += [[key, number, arguments] for key, (number, arguments) in ARGUMENTS.items()]
    sweep = Path(__file__).with_name("sweep.py").read_text()
    with rig() as running, running.sandbox() as sandbox:
        done = sandbox.run_code(sweep.replace("REQUEST:", f"{wanted!r}:"), timeout=28)
    assert done.ok, (done.outcome, done.error, done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def name_of(number: str) -> str:
    """Name a call, as far as this libseccomp knows it: for readers alone."""
    try:
        return str(pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, int(number)).decode())
    except ValueError:  # no number, or no call
        return ""


def test_the_table_is_the_golden_one(found: dict[str, str], update: bool) -> None:
    if update:
        lines = [f"{key:<34}{result:<18}{name_of(key)}".rstrip() for key, result in found.items()]
        TABLE.write_text("\n".join(lines) + "\n")
    golden = {line[:34].strip(): line[34:52].strip() for line in TABLE.read_text().splitlines()}
    differing = {
        key: (golden.get(key), found.get(key))
        for key in golden.keys() | found.keys()
        if golden.get(key) != found.get(key)
    }
    assert differing == {}


def test_every_number_is_as_the_lists_say(found: dict[str, str]) -> None:
    resolve = pyseccomp.resolve_syscall
    allowed = {resolve(pyseccomp.Arch.NATIVE, name) for name in (*names.ALLOWED, *CHECKED)}
    denied = {resolve(pyseccomp.Arch.NATIVE, name) for name in names.DENIED}
    wanted = {n: "EPERM" if n in denied else "ENOSYS" for n in range(LAST) if n not in allowed | PROBES}
    assert {n: found[str(n)] for n in wanted} == wanted


def test_nothing_that_is_allowed_is_refused(found: dict[str, str]) -> None:
    """Some are missing in the kernel itself, long removed: no other may be."""
    numbers = {pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name): name for name in names.ALLOWED}
    refused = {name for number, name in numbers.items() if found.get(str(number), "allowed") != "allowed"}
    assert refused <= {"epoll_ctl_old", "epoll_wait_old"}
