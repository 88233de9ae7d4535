"""The process tier's tests of behaviour, to be run in containers: by name, with the reasons of those that differ.

What they talk to is the product with another tier in the policies that it ships, and nothing else changed: `tier_edits`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutants import Edit


@dataclass(frozen=True)
class Shifted:
    """The product with its shipped policies' sessions in containers, and what it needs to be told."""

    runtime: str
    tree: Path
    flags: tuple[str, ...]


_INTEGRATION = str(Path(__file__).parents[1] / "integration")


def borrow(module: str, *, differ: Collection[str] = (), only: Collection[str] = ()) -> dict[str, Any]:
    """Return what a test file defines, for another file's globals: without the tests that `differ`, or `only` those.

    Raises:
        AssertionError: it has no test of such a name, so the list is out of date.
    """
    if _INTEGRATION not in sys.path:
        sys.path.append(_INTEGRATION)
    found = {name: value for name, value in vars(importlib.import_module(module)).items() if name[:2] != "__"}
    tests = {name for name in found if name.startswith("test_")}
    unknown = {*differ, *only} - tests
    assert not unknown, f"{module}: no tests {sorted(unknown)}"
    left_out = tests - set(only) if only else set(differ)
    return {name: value for name, value in found.items() if name not in left_out}


def tier_edits(runtime: str) -> list[Edit]:
    """Return what puts the shipped policies' sessions into containers."""
    edits = [
        Edit(f"policy/shipped/{name}.yaml", "executor: process", f"executor: {runtime}")
        for name in ("default", "unscreened")
    ]
    if runtime == "runc":  # it has none, unless the engine remaps ids
        edits.append(Edit("policy/shipped/default.yaml", "    - user_namespace\n", ""))
    return edits
