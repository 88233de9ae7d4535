"""`__all__` is the public surface: it is there, it is true, and each public name says what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

PACKAGES = ("sandboxd", "sandboxd_client")


def packages() -> list[str]:
    found = list(PACKAGES)
    for top in PACKAGES:
        module = importlib.import_module(top)
        walk = pkgutil.walk_packages(module.__path__, f"{top}.")
        found += [item.name for item in walk if item.ispkg]
    return sorted(found)


def declared(name: str) -> tuple[ModuleType, tuple[str, ...]]:
    module = importlib.import_module(name)
    return module, tuple(getattr(module, "__all__", ()))


@pytest.mark.parametrize("name", packages())
def test_a_package_that_offers_names_lists_them(name: str) -> None:
    module, names = declared(name)
    offered = [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", "").startswith(PACKAGES)
    ]
    assert names or not offered, f"{name} imports {offered} and has no __all__"
    assert isinstance(getattr(module, "__all__", ()), tuple)


@pytest.mark.parametrize("name", packages())
def test_what_is_listed_is_there_once_and_sorted(name: str) -> None:
    module, names = declared(name)
    assert [key for key in names if not hasattr(module, key)] == []
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", packages())
def test_public_classes_and_functions_are_documented(name: str) -> None:
    module, names = declared(name)
    things = [(key, getattr(module, key)) for key in names]
    bare = [
        key
        for key, thing in things
        if inspect.isclass(thing) or inspect.isfunction(thing)
        if not thing.__doc__
    ]
    assert bare == []
