"""Invariant 1: a box executes for the pipeline alone."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2] / "sandboxd"


def callers_of_box_execute() -> set[str]:
    """Name the modules that call `execute` on something called a box."""
    found = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("box.execute"):
                found.add(str(path.relative_to(ROOT)))
    return found


def test_the_pipeline_alone_executes() -> None:
    assert callers_of_box_execute() == {"pipeline.py"}


def test_jobs_are_made_by_the_pipeline_alone() -> None:
    makers = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Job"
    }
    assert makers == {"pipeline.py"}
