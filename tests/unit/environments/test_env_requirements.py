from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from sandboxd.environments import create_environment
from sandboxd.environments.create import _preload, _requirements
from sandboxd.errors import Code, SandboxdError

SHIPPED = Path(str(files("sandboxd.environments") / "data-science.txt"))


def test_data_science_pins_every_line_and_holds_what_the_issue_names() -> None:
    lines = [line for line in SHIPPED.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line) for line in lines)
    names = {line.partition("==")[0] for line in lines}
    assert {"numpy", "pandas", "openpyxl", "matplotlib", "sympy", "scipy"} <= names


def test_data_science_preloads() -> None:
    assert _preload(SHIPPED) == ("numpy", "pandas", "matplotlib", "matplotlib.pyplot")


def test_preload_comments_add_up(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text("# preload: a, b.c\nx==1\n#preload: a, d\n# a preload: e\n")
    assert _preload(path) == ("a", "b.c", "d")


@pytest.mark.parametrize("words", ["a b", "os.system('x')", "1a", "a..b"])
def test_a_preload_that_is_no_module_name_is_refused(tmp_path: Path, words: str) -> None:
    path = tmp_path / "r.txt"
    path.write_text(f"# preload: {words}\n")
    with pytest.raises(SandboxdError, match="no module name"):
        _preload(path)


def test_only_a_shipped_name_does_without_a_file(tmp_path: Path) -> None:
    assert _requirements("data-science", None) == SHIPPED
    for name, given in (("mine", None), ("mine", tmp_path / "missing"), ("base", SHIPPED)):
        with pytest.raises(SandboxdError) as caught:
            _requirements(name, given)
        assert caught.value.code == Code.INVALID_REQUEST


def test_an_existing_environment_is_never_changed(tmp_path: Path) -> None:
    (tmp_path / "data-science").mkdir()
    with pytest.raises(SandboxdError, match="exists already"):
        create_environment(tmp_path, "data-science", progress=print)
    assert [path.name for path in tmp_path.iterdir()] == ["data-science"]
