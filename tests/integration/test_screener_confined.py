"""What a hijacked parser can do: nothing. Tried from inside the locked process, and again with all walls but one removed."""

import base64
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import Edit, make_mutant

import sandboxd
from sandboxd.errors import Code, StartError
from sandboxd.screen import Screener
from sandboxd.seccomp import build_screener_filter

pytestmark = pytest.mark.userns

PROBE = Path(__file__).with_name("screen_probe.py")
HERE = str(Path(sandboxd.__file__).parents[1])
CONFINED = "screen/confined.py"
WALLS = {
    "seccomp": Edit(CONFINED, "    kernel.load_seccomp(filter_program)\n", ""),
    "limits": Edit(CONFINED, "    _limit(memory_bytes)\n", ""),
    "landlock": Edit(CONFINED, "if not landlock.forbid():", "if False:"),
    "root": Edit(CONFINED, '_try(missing, "empty_root", _enter_empty_root)', "pass"),
    "identity": Edit(CONFINED, "    _drop(missing)\n", ""),
}
# What each attempt meets where one wall alone stands; "done" elsewhere. Of the limits NPROC is not kept for root.
ALONE = {
    ("seccomp", "open"): {"EPERM"},
    ("seccomp", "socket"): {"EPERM"},
    ("seccomp", "fork"): {"EPERM"},
    ("seccomp", "signal"): {"EPERM"},
    ("seccomp", "ptrace"): {"EPERM"},
    ("seccomp", "make executable"): {"EPERM"},
    ("seccomp", "exec"): {"EPERM"},
    ("limits", "open"): {"EMFILE"},
    ("limits", "socket"): {"EMFILE"},
    ("limits", "memory"): {"MemoryError"},
    ("landlock", "open"): {"EACCES"},
    ("landlock", "list"): {"EACCES"},
    ("landlock", "exec"): {"EACCES"},
    ("root", "open"): {"ENOENT"},
    ("root", "proc of another"): {"ENOENT"},
    ("root", "exec"): {"ENOENT"},
    ("identity", "chroot"): {"EPERM"},
    ("identity", "setuid"): {"EPERM", "EINVAL"},
}


def probe(folder=HERE):
    """Run the probe in the locked process; attempts that it did not survive are "done"."""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with theirs:
        program = base64.b64encode(build_screener_filter().program).decode()
        command = [sys.executable, "-I", "-S", "-B", str(PROBE), str(folder), program]
        process = subprocess.Popen(
            command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={}, cwd="/"
        )
    with ours, process:
        lines = ours.makefile("rb").read().splitlines()
        assert lines, process.stderr.read().decode()
    told = [json.loads(line) for line in lines]
    return dict(one for one in told if isinstance(one, list)), told[-1]


def test_nothing_can_be_done_from_inside():
    attempts, end = probe()
    assert set(attempts.items()) - {("memory", "MemoryError")} == {
        (name, "EPERM") for name in attempts if name != "memory"
    }
    assert len(attempts) > 25
    assert end["missing"].keys() <= {"speculation"}
    assert end["signals"]


@pytest.mark.parametrize("wall", WALLS)
def test_each_wall_stands_alone(short_dir, wall):
    edits = [edit for name, edit in WALLS.items() if name != wall]
    attempts, _ = probe(make_mutant(short_dir / "tree", edits))
    for (standing, attempt), errors in ALONE.items():
        if standing == wall:
            assert attempts[attempt] in errors, attempt


def test_without_the_walls_the_attempts_succeed(short_dir):
    """The positive control: the probe can tell a wall from none."""
    attempts, _ = probe(make_mutant(short_dir / "tree", WALLS.values()))
    done = {name for name, outcome in attempts.items() if outcome == "done"}
    expected = {attempt for _, attempt in ALONE} - {"exec", "setuid"}  # after an exec nobody tells of it
    if os.geteuid() != 0:
        expected.discard("chroot")
    assert expected <= done | {"signal"}
    assert "exec" not in attempts


@pytest.mark.parametrize(
    "edit",
    [
        Edit(
            "screen/confined.py",
            "kernel.load_seccomp(filter_program)",
            "raise OSError(22, 'no filters here')",
        ),
        Edit(
            "screen/confined.py",
            "kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)",
            "raise OSError(22, 'no such control')",
        ),
    ],
    ids=["seccomp", "no_new_privs"],
)
async def test_without_its_minimum_it_does_not_start(short_dir, monkeypatch, edit):
    tree = make_mutant(short_dir / "tree", [edit])
    monkeypatch.setattr("sandboxd.screen.process._FOLDER", str(tree))
    monkeypatch.setattr("sandboxd.screen.process._BOOT", str(tree / "sandboxd/screen/boot.py"))
    screener = Screener()
    with pytest.raises(StartError, match=r"cannot be locked in: .*no ") as refused:
        await screener.start()
    assert refused.value.code is Code.INTERNAL
    assert "seccomp filter" in refused.value.remedy
    assert screener.pids() == ()


async def test_what_the_host_does_not_give_is_told(short_dir, monkeypatch, caplog):
    tree = make_mutant(short_dir / "tree", [Edit("jail/kernel.py", "if _libc.unshare(", "if -1 or (")])
    monkeypatch.setattr("sandboxd.screen.process._FOLDER", str(tree))
    screener = Screener()
    await screener.start()
    await screener.close()
    assert {"namespaces"} <= screener.missing.keys()
    assert [record.levelname for record in caplog.records if record.message == "screener locked in"] == [
        "WARNING"
    ]
