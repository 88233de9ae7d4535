"""What commands look like on a real terminal: styled by us, and by nobody else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from sandboxd.environments import Environment
from sandboxd.environments.manifest import write_manifest

if TYPE_CHECKING:
    from pathlib import Path


def on_a_terminal(*words: str) -> str:
    leader, follower = pty.openpty()
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    environ.pop("NO_COLOR", None)
    child = subprocess.Popen(
        [sys.executable, "-m", "sandboxd", *words],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environ,
    )
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 65536):
            shown += piece
    except OSError:  # EIO: the other end is closed, the kernel's end of file for a terminal
        pass
    os.close(leader)
    child.wait(timeout=30)
    return shown.decode()


def place(root: Path, package: str) -> None:
    (root / "mine").mkdir(parents=True)
    version = "{}.{}".format(*sys.version_info)
    write_manifest(root / "mine", Environment("mine", sys.executable, "", version, packages=(package,)))


def test_a_table_is_styled_and_reads_no_markup_of_others(tmp_path: Path) -> None:
    place(tmp_path, "evil[red]==\x1b]0;title\x07\u202e")
    shown = on_a_terminal("env", "list", "--environments-dir", str(tmp_path))
    assert "\x1b[1m" in shown  # the headings
    assert "evil[red]==" in shown
    assert "\\x1b]0;title" in re.sub(r"\s", "", shown)
    assert not set(re.sub(r"\x1b\[[0-9;]*m", "", shown)) & set("\x1b\x07\u202e")


def test_doctor_colours_a_status() -> None:
    assert "\x1b[32mok" in on_a_terminal("doctor")


def test_progress_leaves_the_line_free(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("--no-index\nno-such-package==1\n")
    shown = on_a_terminal(
        "env", "create", "mine", "-r", str(path), "--environments-dir", str(tmp_path / "root")
    )
    assert "\r\x1b[Ksandboxd: ENVIRONMENT_FAILED: pip install failed" in shown
