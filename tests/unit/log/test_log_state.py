from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sandboxd.errors import Code, StartError
from sandboxd.log import StateDir

if TYPE_CHECKING:
    from pathlib import Path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_directory_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with StateDir.open(tmp_path / "a" / "state") as state:
            assert mode(state.path) == 0o700
            assert {path.name: mode(path) for path in state.path.iterdir()} == dict.fromkeys(
                ("lock", "version", "key", "incarnation"), 0o600
            )
            assert len(state.key) == 32
    finally:
        os.umask(before)


def test_the_key_stays_and_the_incarnation_goes_on(tmp_path: Path) -> None:
    seen = []
    for _ in range(12):
        with StateDir.open(tmp_path) as state:
            seen.append((state.key, state.incarnation))
    assert len({key for key, _ in seen}) == 1
    incarnations = [incarnation for _, incarnation in seen]
    assert incarnations == sorted(set(incarnations))


def test_a_second_daemon_is_refused_and_a_third_takes_over(tmp_path: Path) -> None:
    with StateDir.open(tmp_path), pytest.raises(StartError) as caught:
        StateDir.open(tmp_path)
    assert caught.value.code is Code.STATE_LOCKED
    assert caught.value.remedy
    StateDir.open(tmp_path).close()


def test_the_lock_holds_between_processes_and_is_not_inherited(tmp_path: Path) -> None:
    code = f"""
import pathlib, sys
from sandboxd.errors import StartError
from sandboxd.log import StateDir
try:
    StateDir.open(pathlib.Path({str(tmp_path)!r}))
except StartError as error:
    sys.exit(str(error.code))
"""
    with StateDir.open(tmp_path):
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert child.stderr.strip() == "STATE_LOCKED"
        sleeper = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
        assert sleeper.stdin is not None
        assert sleeper.stdout is not None
        # Popen returns while the kernel is still in the exec, before it closes what is O_CLOEXEC: wait for an answer.
        sleeper.stdin.write(b"x")
        sleeper.stdin.flush()
        assert sleeper.stdout.read(1) == b"x"
    try:
        StateDir.open(tmp_path).close()
    finally:
        sleeper.communicate()


@pytest.mark.parametrize("found", [b"2\n", b"", b"1.5", b"\xff" * 5000])
def test_another_format_is_refused(tmp_path: Path, found: bytes) -> None:
    StateDir.open(tmp_path).close()
    (tmp_path / "version").write_bytes(found)
    with pytest.raises(StartError) as caught:
        StateDir.open(tmp_path)
    assert caught.value.code is Code.STATE_VERSION
    assert caught.value.remedy


def test_a_directory_with_a_key_but_no_version_is_refused(tmp_path: Path) -> None:
    StateDir.open(tmp_path).close()
    (tmp_path / "version").unlink()
    with pytest.raises(StartError, match="STATE_VERSION"):
        StateDir.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"), [("key", b"short"), ("incarnation", b"x"), ("incarnation", b"-1")]
)
def test_a_damaged_file_is_refused_and_the_lock_given_back(tmp_path: Path, name: str, content: bytes) -> None:
    StateDir.open(tmp_path).close()
    good = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StartError, match="CONFIG_INVALID"):
        StateDir.open(tmp_path)
    (tmp_path / name).write_bytes(good)
    StateDir.open(tmp_path).close()


def test_a_directory_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    StateDir.open(tmp_path).close()
    assert mode(tmp_path) == 0o700


def test_a_linked_key_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"k" * 32)
    state = tmp_path / "state"
    state.mkdir()
    (state / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError, match="CONFIG_INVALID"):
        StateDir.open(state)


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="CONFIG_INVALID"):
        StateDir.open(tmp_path / "file")


@pytest.mark.root
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(StartError, match="CONFIG_INVALID"):
        StateDir.open(tmp_path)
