"""Loading facades, and what a facade is: members, nothing else, for ever."""

from __future__ import annotations

import asyncio.events
import copy
import html.entities
import json.decoder
import keyword
import math
import pickle
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandboxd.guest.restricted import facades
from tests.unit.guest.facade_program import run, value

pytestmark = pytest.mark.hardens

ROOT = Path(__file__).parents[3]


def load_all() -> dict[str, Any]:
    return {name: facades.load(name) for name in facades.NAMES if name != "tomllib"}


def test_a_facade_is_made_once() -> None:
    assert facades.load("math") is facades.load("math")


def test_members_are_the_module_s() -> None:
    assert facades.load("math").sqrt is math.sqrt
    assert facades.load("statistics").mean is statistics.mean


def test_submodules_are_facades() -> None:
    assert facades.load("collections").abc is facades.load("collections.abc")
    names = run("import collections.abc\nimport urllib.parse as p\nfrom urllib import parse")
    assert type(names["collections"]) is facades.Facade
    assert names["p"] is names["parse"]


@pytest.mark.parametrize(
    "name", ["shutil", "sys.path", "subprocess", "importlib", "builtins", "gc", "ctypes", "pathlib"]
)
def test_a_module_without_a_facade_is_an_import_error(name: str) -> None:
    with pytest.raises(ImportError, match="not available in restricted code") as caught:
        facades.load(name)
    assert caught.value.name == name
    assert not isinstance(caught.value, ModuleNotFoundError)


def test_a_missing_module_is_as_in_python() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'no_such_thing'$"):
        facades.load("no_such_thing")


def test_a_missing_member_is_as_in_python() -> None:
    with pytest.raises(AttributeError, match=r"^module 'math' has no attribute 'sqroot'$") as caught:
        _ = facades.load("math").sqroot
    assert caught.value.obj is facades.load("math")  # and not the module


def test_a_withheld_member_says_what_to_use() -> None:
    with pytest.raises(AttributeError, match=r"'Formatter' in restricted code; use str\.format"):
        _ = facades.load("string").Formatter
    with pytest.raises(AttributeError, match=r"in restricted code; there are: .*fmean"):
        _ = facades.load("statistics").Counter


def test_a_withheld_name_cannot_be_imported_and_says_why() -> None:
    with pytest.raises(
        ImportError, match=r"cannot import name 'singledispatch' from 'functools' .* isinstance"
    ):
        facades.check_from(facades.load("functools"), ("reduce", "singledispatch"))
    facades.check_from(facades.load("functools"), ("reduce",))


@pytest.mark.parametrize(
    "statement",
    [
        "from json import decoder",
        "from importlib import machinery",
        "from collections import UserString",
        "from html import entities",
        "from asyncio import events",
        "from zoneinfo import _tzpath",
        "from sys import modules",
    ],
)
def test_from_never_falls_back_to_the_module(statement: str) -> None:
    """Python looks for `sys.modules[name + '.' + member]` when the attribute is missing."""
    assert all(module.__name__ in sys.modules for module in (json.decoder, html.entities, asyncio.events))
    with pytest.raises(ImportError):
        run(statement)


def test_star_takes_members_alone() -> None:
    with pytest.raises(ImportError):  # no __all__ and no __dict__: there is nothing to take them from
        run("from math import *")


@pytest.mark.parametrize("name", sorted(facades.NAMES - {"tomllib"}))
def test_nothing_about_a_facade_changes_or_leaks(name: str) -> None:
    facade = facades.load(name)
    for action in (
        lambda: setattr(facade, "poison", 1),
        lambda: setattr(facade, dir(facade)[0], 1),
        lambda: delattr(facade, dir(facade)[0]),
        lambda: setattr(facade, "__class__", int),
        lambda: facade.__dict__,
        lambda: facade.__name__,
        lambda: facade.__spec__,
        lambda: facade.__loader__,
    ):
        with pytest.raises(AttributeError):
            action()
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot pickle 'module' object"):
            copying(facade)
    with pytest.raises(TypeError):
        vars(facade)
    assert repr(facade) == f"<module {name!r} (restricted)>"
    assert facades.name_of(facade) == name
    assert not [member for member in dir(facade) if member.startswith("_")]


def test_the_facade_s_class_makes_nothing_and_has_nothing() -> None:
    kind: Any = facades.Facade
    with pytest.raises(TypeError):
        kind()
    with pytest.raises(TypeError):
        type("Sub", (kind,), {})
    with pytest.raises(TypeError):
        kind.__getattr__ = lambda self, name: 1
    with pytest.raises(TypeError):
        del kind.__getattr__
    assert [name for name in dir(kind) if not name.startswith("_")] == []


def test_lists_are_copies() -> None:
    value("keyword.kwlist.append('match')", "import keyword")
    assert "match" not in keyword.kwlist
    value("keyword.kwlist.remove('match')", "import keyword")


def test_imports_come_from_the_standard_library_alone(tmp_path: Path) -> None:
    """What lies in the work directory must not be taken for a part of the library, at an import or at a later call."""
    for name in ("graphlib", "bisect"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')")
    tzdata = tmp_path / "tzdata"
    tzdata.mkdir()
    (tzdata / "__init__.py").write_text("raise SystemExit('planted')")
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from sandboxd.guest.restricted import facades
sys.path[:] = [{str(tmp_path)!r}, *sys.path]
sys.modules.pop("bisect", None)
facades.load("graphlib").TopologicalSorter
facades.load("bisect").insort
assert sys.path[0] == {str(tmp_path)!r}
sys.path.append({str(tmp_path)!r})
facades.confine_imports()
try:
    facades.load("zoneinfo").ZoneInfo("Nowhere/Land")
except facades.load("zoneinfo").ZoneInfoNotFoundError:
    print("not found")
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("not found\n", "", 0)


def test_preloading_imports_no_module_of_the_table() -> None:
    """The zygote's memory is every sandbox's, and the start of a daemon waits for it."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from sandboxd.guest import loop
before = set(sys.modules)
from sandboxd.guest.restricted import facades
print(*sorted(name for name in set(sys.modules) - before if "sandboxd" not in name))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
