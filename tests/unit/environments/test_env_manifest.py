from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sandboxd.environments import Environment
from sandboxd.environments.manifest import read_manifest, write_manifest
from sandboxd.environments.model import check_name
from sandboxd.errors import Code, SandboxdError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {
    "format": 1,
    "name": "mine",
    "python": sys.executable,
    "version": "{}.{}".format(*sys.version_info),
    "packages": ["numpy==2.4.6"],
    "preload": ["numpy"],
}


def place(root: Path, document: Any) -> Path:
    directory = root / "mine"
    directory.mkdir()
    text = document if isinstance(document, str) else json.dumps(document)
    (directory / "environment.json").write_text(text)
    return directory


def test_what_is_written_is_read_back_with_paths_of_where_it_is(tmp_path: Path) -> None:
    written = Environment("mine", sys.executable, "", GOOD["version"], packages=("a==1",), preload=("a.b",))
    (tmp_path / "staged").mkdir()
    write_manifest(tmp_path / "staged", written)
    (tmp_path / "staged").rename(tmp_path / "mine")
    read = read_manifest(tmp_path / "mine")
    assert (read.name, read.packages, read.preload) == ("mine", ("a==1",), ("a.b",))
    assert read.site_packages == str(tmp_path / "mine" / "site-packages")
    assert read.matplotlib_cache is None


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "{",
        GOOD | {"format": 2},
        GOOD | {"format": True},
        GOOD | {"extra": 1},
        {key: value for key, value in GOOD.items() if key != "preload"},
        GOOD | {"name": "other"},
        GOOD | {"python": "python3"},
        GOOD | {"python": 3},
        GOOD | {"version": 3.11},
        GOOD | {"packages": "numpy"},
        GOOD | {"packages": [1]},
        GOOD | {"preload": ["os; import sys"]},
        json.dumps(GOOD)[:-1] + ', "name": "mine"}',
        json.dumps(GOOD | {"packages": ["x" * 100] * 20_000}),
        "[" * 100_000,
    ],
)
def test_a_manifest_that_is_not_exactly_right_is_refused(tmp_path: Path, document: Any) -> None:
    with pytest.raises(SandboxdError) as caught:
        read_manifest(place(tmp_path, document))
    assert caught.value.code == Code.ENVIRONMENT_FAILED
    assert "sandboxd env remove mine" in caught.value.remedy


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(SandboxdError, match="ENVIRONMENT_FAILED"):
        read_manifest(tmp_path / "mine")


@pytest.mark.parametrize("name", ["base", "data-science", "a", "9", "a" * 63])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a/b", "..", ".creating-a", "A", "a_b", "a" * 64, "a\n", "é"])
def test_bad_names(name: str) -> None:
    with pytest.raises(SandboxdError) as caught:
        check_name(name)
    assert caught.value.code == Code.INVALID_REQUEST
