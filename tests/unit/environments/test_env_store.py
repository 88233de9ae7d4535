from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from sandboxd.environments import load_environments, remove_environment
from sandboxd.environments.store import environment_names, publish, staging, sweep
from sandboxd.errors import Code, SandboxdError


def test_a_stage_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with staging(tmp_path / "root", "mine") as stage:
            (stage.path / "half").write_text("made")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list((tmp_path / "root").iterdir()) == []


def test_publishing_is_one_rename(tmp_path: Path) -> None:
    with staging(tmp_path, "mine") as stage:
        (stage.path / "file").write_text("whole")
        assert environment_names(tmp_path) == []
        publish(stage, tmp_path / "mine")
    assert (tmp_path / "mine" / "file").read_text() == "whole"
    assert environment_names(tmp_path) == ["mine"]


def test_publishing_never_replaces(tmp_path: Path) -> None:
    with staging(tmp_path, "mine") as stage:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "theirs").touch()
        with pytest.raises(SandboxdError, match="exists already"):
            publish(stage, tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_second_stage_of_one_name_is_refused_and_another_name_is_not(tmp_path: Path) -> None:
    with staging(tmp_path, "mine"), staging(tmp_path, "other"):
        with (
            pytest.raises(SandboxdError, match="Another process is creating") as caught,
            staging(tmp_path, "mine"),
        ):
            pass
        assert caught.value.code == Code.ENVIRONMENT_FAILED
        assert (tmp_path / ".creating-mine").is_dir()


def test_a_sweep_takes_what_nobody_owns_and_leaves_the_rest(tmp_path: Path) -> None:
    for name in (".creating-dead", ".creating-live", ".removing-dead-1", "kept", ".hidden"):
        (tmp_path / name / "inner").mkdir(parents=True)
    outside = tmp_path / "kept"
    (tmp_path / ".creating-link").symlink_to(outside)
    owner = os.open(tmp_path / ".creating-live", os.O_RDONLY)
    fcntl.flock(owner, fcntl.LOCK_EX)
    sweep(tmp_path)
    os.close(owner)
    assert {path.name for path in tmp_path.iterdir()} == {
        ".creating-live",
        ".creating-link",
        "kept",
        ".hidden",
    }
    assert (outside / "inner").is_dir()


def test_base_is_there_without_a_directory(tmp_path: Path) -> None:
    found = load_environments(tmp_path / "missing")
    assert list(found) == ["base"]
    base = found["base"]
    assert base.site_packages is None
    assert base.packages == ()
    assert os.path.realpath(base.python) == base.python
    assert all(Path(path).is_dir() for path in base.stdlib)


def test_a_broken_environment_is_named_and_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(SandboxdError, match="Environment mine") as caught:
        load_environments(tmp_path)
    assert caught.value.code == Code.ENVIRONMENT_FAILED
    remove_environment(tmp_path, "mine")
    assert list(tmp_path.iterdir()) == []


def test_removing_what_is_not_there_lists_what_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(SandboxdError, match="base, mine") as caught:
        remove_environment(tmp_path, "other")
    assert caught.value.code == Code.ENVIRONMENT_NOT_FOUND


@pytest.mark.parametrize("name", ["base", "../x", ".creating-mine"])
def test_what_may_not_be_removed(tmp_path: Path, name: str) -> None:
    with pytest.raises(SandboxdError) as caught:
        remove_environment(tmp_path, name)
    assert caught.value.code == Code.INVALID_REQUEST


def test_a_link_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to("/")
    assert environment_names(tmp_path) == []
