"""`sandboxd env` with a real pip, offline: its only package is a wheel that is made here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sandboxd.environments import create_environment, load_environments, remove_environment
from sandboxd.errors import Code, SandboxdError

MODULE = """
import os, pathlib, time
marker = pathlib.Path(os.environ["PIECE_MARKER"]) if "PIECE_MARKER" in os.environ else None
if marker is not None:
    marker.write_text(str(os.getpid()))
    while marker.exists():
        time.sleep(0.02)
VALUE = 7
"""


def make_wheel(directory: Path) -> Path:
    path = directory / "piece-1.2-py3-none-any.whl"
    info = "piece-1.2.dist-info"
    contents = {
        "piece.py": MODULE,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: piece\nVersion: 1.2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\npiece = piece:main\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
        names = [*contents, f"{info}/RECORD"]
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))
    return path


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    path = tmp_path / "requirements.txt"
    path.write_text(f"# preload: piece\n{make_wheel(tmp_path)}\n")
    return path


def command(root: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "sandboxd", "env", *words, "--environments-dir", str(root)]


def start(root: Path, requirements: Path, marker: Path | None = None) -> subprocess.Popen[str]:
    environ = os.environ | ({"PIECE_MARKER": str(marker)} if marker else {})
    return subprocess.Popen(
        command(root, "create", "mine", "-r", str(requirements)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_create_list_import_remove(tmp_path: Path, requirements: Path) -> None:
    said: list[str] = []
    made = create_environment(tmp_path / "root", "mine", requirements, progress=said.append)
    assert made.packages == ("piece==1.2",)
    assert made.preload == ("piece",)
    assert load_environments(tmp_path / "root")["mine"] == made
    assert any("piece" in line for line in said)
    site = Path(made.site_packages or "")
    assert {path.name for path in site.iterdir()} == {"piece.py", "piece-1.2.dist-info", "__pycache__"}
    assert {path.name for path in (tmp_path / "root" / "mine").iterdir()} == {
        "site-packages",
        "environment.json",
    }
    program = (
        f"import sys; sys.path.append({str(site)!r}); import piece; print(piece.VALUE, piece.__cached__)"
    )
    answer = subprocess.run(
        [made.python, "-I", "-S", "-B", "-c", program], check=True, capture_output=True, text=True
    )
    value, cached = answer.stdout.split()
    assert value == "7"
    assert Path(cached).is_file()
    remove_environment(tmp_path / "root", "mine")
    assert list((tmp_path / "root").iterdir()) == []


def test_everything_is_readable_for_the_jails_user(tmp_path: Path, requirements: Path) -> None:
    before = os.umask(0o077)
    try:
        create_environment(tmp_path / "root", "mine", requirements, progress=print)
    finally:
        os.umask(before)
    for path in [tmp_path / "root" / "mine", *(tmp_path / "root" / "mine").rglob("*")]:
        wanted = 0o555 if path.is_dir() else 0o444
        assert path.stat().st_mode & wanted == wanted, path


def test_a_package_that_is_not_to_be_had_leaves_nothing_and_says_what_pip_said(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("--no-index\nno-such-package==1\n")
    with pytest.raises(SandboxdError, match="no-such-package") as caught:
        create_environment(tmp_path / "root", "mine", path, progress=print)
    assert caught.value.code == Code.ENVIRONMENT_FAILED
    assert list((tmp_path / "root").iterdir()) == []


def test_a_preload_that_cannot_be_imported_fails_the_creation(tmp_path: Path, requirements: Path) -> None:
    requirements.write_text(requirements.read_text().replace("preload: piece", "preload: pieces"))
    with pytest.raises(SandboxdError, match="No module named 'pieces'"):
        create_environment(tmp_path / "root", "mine", requirements, progress=print)
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize(
    "moment", ["Making an installer", "Installing", "Successfully installed", "Compiling"]
)
def test_kill_9_leaves_nothing_after_the_next_listing(
    tmp_path: Path, requirements: Path, moment: str
) -> None:
    root = tmp_path / "root"
    creating = start(root, requirements)
    assert creating.stderr is not None
    for line in creating.stderr:
        if line.startswith(moment):
            break
    creating.kill()
    creating.communicate()
    # The leash ends what still writes there, and holds the directory's lock until it has.
    wait_for(lambda: "mine" not in str(listed(root)) and list(root.iterdir()) == [])
    retried = subprocess.run(
        command(root, "create", "mine", "-r", str(requirements)), capture_output=True, text=True, check=False
    )
    assert retried.returncode == 0, retried.stderr
    assert "mine\t" in listed(root)


def listed(root: Path) -> str:
    return subprocess.run(command(root, "list"), check=True, capture_output=True, text=True).stdout


def test_kill_9_ends_what_the_creation_started(tmp_path: Path, requirements: Path) -> None:
    marker = tmp_path / "marker"
    creating = start(tmp_path / "root", requirements, marker)
    wait_for(lambda: marker.exists() and marker.read_text())
    importing = int(marker.read_text())
    assert is_alive(importing)
    creating.kill()
    creating.communicate()
    wait_for(lambda: not is_alive(importing))


def test_ctrl_c_leaves_nothing(tmp_path: Path, requirements: Path) -> None:
    marker = tmp_path / "marker"
    creating = start(tmp_path / "root", requirements, marker)
    wait_for(lambda: marker.exists() and marker.read_text())
    creating.send_signal(signal.SIGINT)
    _, said = creating.communicate(timeout=60)
    assert creating.returncode == 130
    assert "Traceback" not in said
    assert not is_alive(int(marker.read_text()))
    assert list((tmp_path / "root").iterdir()) == []


def test_two_creations_of_one_name(tmp_path: Path, requirements: Path) -> None:
    marker = tmp_path / "marker"
    root = tmp_path / "root"
    first = start(root, requirements, marker)
    wait_for(marker.exists)
    second = subprocess.run(
        command(root, "create", "mine", "-r", str(requirements)), capture_output=True, text=True, check=False
    )
    assert second.returncode == 6
    assert "ENVIRONMENT_FAILED: Another process is creating environment mine" in second.stderr
    assert list(load_environments(root)) == ["base"]
    marker.unlink()
    _, said = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert list(load_environments(root)) == ["base", "mine"]
