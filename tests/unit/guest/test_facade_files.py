"""The facades of os, os.path and tempfile: Python's own answers below the program's directories, a refusal elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandboxd.guest.restricted import facades, files

pytestmark = pytest.mark.hardens

A = SimpleNamespace()  # the facades: loading one hardens the library, so not while tests are collected


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A work directory below which files may be, with a way out of it; and a file that lies elsewhere."""
    A.os, A.path, A.tempfile = (facades.load(name) for name in ("os", "os.path", "tempfile"))
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
    A.os.makedirs("a/b", exist_ok=True)
    A.os.mkdir("c")
    (work / "a" / "f.txt").write_text("12345")
    assert sorted(A.os.listdir()) == ["a", "c", "out"]
    assert A.os.listdir("a") == os.listdir("a")
    assert A.path.getsize("a/f.txt") == A.os.stat("a/f.txt").st_size == 5
    assert (A.path.exists("a"), A.path.isdir("a"), A.path.isfile("a/f.txt"), A.path.exists("zz")) == (
        True,
        True,
        True,
        False,
    )
    assert list(A.os.walk(".")) == list(os.walk("."))
    assert list(A.os.walk(str(work), topdown=False)) == list(os.walk(work, topdown=False))
    A.os.rename("a/f.txt", "c/g.txt")
    A.os.replace("c/g.txt", "c/h.txt")
    A.os.remove("c/h.txt")
    A.os.rmdir("c")
    assert A.os.listdir("a") == ["b"]
    assert (A.path.join("a", "b"), A.path.splitext("x.csv"), A.os.path) == ("a/b", ("x", ".csv"), A.path)


def test_a_link_is_removed_itself(work: Path, tmp_path: Path) -> None:
    assert A.path.islink("out")
    A.os.remove("out")
    assert not (work / "out").is_symlink()
    assert (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "way",
    [
        lambda: A.os.listdir("/etc"),
        lambda: A.os.listdir("out"),
        lambda: A.path.exists("/etc/passwd"),
        lambda: A.path.exists("out/outside"),
        lambda: A.path.getsize("../outside"),
        lambda: A.os.stat("../outside"),
        lambda: A.os.remove("../outside"),
        lambda: A.os.unlink("out/outside"),
        lambda: A.os.remove("out/work/../outside"),
        lambda: A.os.rename("../outside", "mine"),
        lambda: A.os.rename("out", "../elsewhere"),
        lambda: A.os.replace("out/outside", "mine"),
        lambda: A.os.mkdir("../new"),
        lambda: A.os.makedirs("out/new/deep"),
        lambda: A.os.rmdir("."),
        lambda: A.os.rmdir("a/.."),
        lambda: list(A.os.walk("..")),
        lambda: A.tempfile.mkdtemp(dir="/var"),
        lambda: A.tempfile.TemporaryDirectory(dir="out"),
        lambda: A.tempfile.NamedTemporaryFile(dir=".."),
    ],
)
def test_elsewhere_is_refused(way: Any, tmp_path: Path) -> None:
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(PermissionError, match="not available in restricted code"):
        way()
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_a_walk_goes_where_it_may_alone() -> None:
    with pytest.raises(PermissionError):
        for _, folders, _ in A.os.walk("."):
            folders[:] = ["../.."]


def test_a_number_is_no_path() -> None:
    for function in (A.os.listdir, A.os.stat, A.path.exists):
        with pytest.raises(TypeError):
            function(3)


def test_temporary_files(work: Path) -> None:
    with A.tempfile.TemporaryDirectory(prefix="p-") as folder:
        assert A.path.isdir(folder)
        assert A.path.basename(folder).startswith("p-")
    assert not A.path.exists(folder)
    with A.tempfile.NamedTemporaryFile("w", suffix=".txt", dir=str(work)) as file:
        file.write("x")
        file.flush()
        assert A.path.getsize(file.name) == 1
    for wrong in ({"prefix": "../x"}, {"suffix": "/x"}):
        with pytest.raises(ValueError, match="suffix and prefix"):
            A.tempfile.mkdtemp(**wrong)


@pytest.mark.parametrize(
    "name", ["system", "popen", "environ", "fork", "open", "kill", "symlink", "chmod", "scandir"]
)
def test_the_rest_of_os_is_not_there(name: str) -> None:
    with pytest.raises(AttributeError, match="in restricted code"):
        getattr(A.os, name)


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
    for call in (A.os.remove, A.os.mkdir, A.os.rmdir, lambda path: A.os.rename(path, "mine")):
        with pytest.raises(OSError, match=r"No such file|not available") as caught:
            call(torn(work / "none" / "x"))
        assert "outside" not in str(caught.value)
    assert (tmp_path / "outside").read_text() == "secret"
    decoded: Any = type("Decoded", (_Decoded,), {"shown": str(work)})
    with pytest.raises(PermissionError):
        next(A.os.walk(decoded(os.fsencode(tmp_path))))
    assert next(A.os.walk(_Changing(str(work), str(tmp_path))))[0] == str(work)
