"""The facades of os, os.path and tempfile: Python's own answers below the program's directories, a refusal elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandboxd.guest.restricted import facades, files

OS, PATH, TEMPFILE = (facades.load(name) for name in ("os", "os.path", "tempfile"))


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A work directory below which files may be, with a way out of it; and a file that lies elsewhere."""
    inside = tmp_path / "work"
    inside.mkdir()
    (tmp_path / "outside").write_text("secret")
    (inside / "out").symlink_to(tmp_path)
    monkeypatch.chdir(inside)
    # pytest's own directory lies below /tmp, which a program may use: here only the one above counts.
    monkeypatch.setattr(files, "TEMPORARY", str(inside))
    files.confine(str(inside))
    yield inside
    monkeypatch.undo()
    files.confine(files.WORK)


def test_files_as_python_does_them(work: Path) -> None:
    OS.makedirs("a/b", exist_ok=True)
    OS.mkdir("c")
    (work / "a" / "f.txt").write_text("12345")
    assert sorted(OS.listdir()) == ["a", "c", "out"]
    assert OS.listdir("a") == os.listdir("a")
    assert PATH.getsize("a/f.txt") == OS.stat("a/f.txt").st_size == 5
    assert (PATH.exists("a"), PATH.isdir("a"), PATH.isfile("a/f.txt"), PATH.exists("zz")) == (
        True,
        True,
        True,
        False,
    )
    assert list(OS.walk(".")) == list(os.walk("."))
    assert list(OS.walk(str(work), topdown=False)) == list(os.walk(work, topdown=False))
    OS.rename("a/f.txt", "c/g.txt")
    OS.replace("c/g.txt", "c/h.txt")
    OS.remove("c/h.txt")
    OS.rmdir("c")
    assert OS.listdir("a") == ["b"]
    assert (PATH.join("a", "b"), PATH.splitext("x.csv"), OS.path) == ("a/b", ("x", ".csv"), PATH)


def test_a_link_is_removed_itself(work: Path, tmp_path: Path) -> None:
    assert PATH.islink("out")
    OS.remove("out")
    assert not (work / "out").is_symlink()
    assert (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "way",
    [
        lambda: OS.listdir("/etc"),
        lambda: OS.listdir("out"),
        lambda: PATH.exists("/etc/passwd"),
        lambda: PATH.exists("out/outside"),
        lambda: PATH.getsize("../outside"),
        lambda: OS.stat("../outside"),
        lambda: OS.remove("../outside"),
        lambda: OS.unlink("out/outside"),
        lambda: OS.remove("out/work/../outside"),
        lambda: OS.rename("../outside", "mine"),
        lambda: OS.rename("out", "../elsewhere"),
        lambda: OS.replace("out/outside", "mine"),
        lambda: OS.mkdir("../new"),
        lambda: OS.makedirs("out/new/deep"),
        lambda: OS.rmdir("."),
        lambda: OS.rmdir("a/.."),
        lambda: list(OS.walk("..")),
        lambda: TEMPFILE.mkdtemp(dir="/var"),
        lambda: TEMPFILE.TemporaryDirectory(dir="out"),
        lambda: TEMPFILE.NamedTemporaryFile(dir=".."),
    ],
)
def test_elsewhere_is_refused(way: Any, tmp_path: Path) -> None:
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(PermissionError, match="not available in restricted code"):
        way()
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_a_walk_goes_where_it_may_alone() -> None:
    with pytest.raises(PermissionError):
        for _, folders, _ in OS.walk("."):
            folders[:] = ["../.."]


def test_a_number_is_no_path() -> None:
    for function in (OS.listdir, OS.stat, PATH.exists):
        with pytest.raises(TypeError):
            function(3)


def test_temporary_files(work: Path) -> None:
    with TEMPFILE.TemporaryDirectory(prefix="p-") as folder:
        assert PATH.isdir(folder)
        assert PATH.basename(folder).startswith("p-")
    assert not PATH.exists(folder)
    with TEMPFILE.NamedTemporaryFile("w", suffix=".txt", dir=str(work)) as file:
        file.write("x")
        file.flush()
        assert PATH.getsize(file.name) == 1
    for wrong in ({"prefix": "../x"}, {"suffix": "/x"}):
        with pytest.raises(ValueError, match="suffix and prefix"):
            TEMPFILE.mkdtemp(**wrong)


@pytest.mark.parametrize(
    "name", ["system", "popen", "environ", "fork", "open", "kill", "symlink", "chmod", "scandir"]
)
def test_the_rest_of_os_is_not_there(name: str) -> None:
    with pytest.raises(AttributeError, match="in restricted code"):
        getattr(OS, name)


class _Torn(str):
    """A path that says it is in two parts, of which the first is allowed."""

    __slots__ = ()
    parts: tuple[str, str]

    def rstrip(self, *_: Any) -> Any:
        return self

    def rfind(self, *_: Any) -> int:
        return 1

    def __getitem__(self, key: Any) -> str:
        return self.parts[key.start is not None]


class _Decoded(bytes):
    __slots__ = ()
    shown: str

    def decode(self, *_: Any) -> str:
        return self.shown


class _Changing:
    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    def __fspath__(self) -> str:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def test_a_path_has_one_answer(work: Path, tmp_path: Path) -> None:
    torn: Any = type("Torn", (_Torn,), {"parts": (f"{work}/", "../outside")})
    for call in (OS.remove, OS.mkdir, OS.rmdir, lambda path: OS.rename(path, "mine")):
        with pytest.raises(OSError, match=r"No such file|not available") as caught:
            call(torn(work / "none" / "x"))
        assert "outside" not in str(caught.value)
    assert (tmp_path / "outside").read_text() == "secret"
    decoded: Any = type("Decoded", (_Decoded,), {"shown": str(work)})
    with pytest.raises(PermissionError):
        next(OS.walk(decoded(os.fsencode(tmp_path))))
    assert next(OS.walk(_Changing(str(work), str(tmp_path))))[0] == str(work)
