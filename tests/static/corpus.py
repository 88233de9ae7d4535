"""The programs that are run: probes of the language's semantics, agents' snippets, regressions."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

from sandboxd.screen.engine import nodes

HERE = Path(__file__).resolve().parent
SNIPPETS = HERE.parent / "corpus/agent_snippets.jsonl"
ATTACKS = HERE.parent / "corpus/attacks.jsonl"
TOOLS = HERE.parent / "corpus/agent_tools.py"
# Their code is native: no language filter sees into it, and they are routed to the jail.
NATIVE = frozenset({"numpy", "pandas", "sympy", "matplotlib"})
_NEWER = frozenset(
    {"TemplateStr", "Interpolation"}
)  # 3.14's template strings: probes must parse on the oldest Python
_HEAD = re.compile(r"^#: (.+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Program:
    """A named source text."""

    name: str
    source: str


def sections(path: Path) -> list[Program]:
    """Split a file at its `#: name` lines; each part is a program of its own."""
    parts = _HEAD.split(path.read_text(encoding="utf-8"))[1:]
    return [
        Program(f"{path.stem}: {name}", source.rstrip("\n") + "\n")
        for name, source in zip(parts[::2], parts[1::2], strict=True)
    ]


def probes() -> list[Program]:
    """Return the probes, each about one rule of the language."""
    return [one for path in sorted((HERE / "probes").glob("*.py")) for one in sections(path)]


def regressions() -> list[Program]:
    """Return the programs that once differed, crashed, hung or escaped."""
    return [one for path in sorted((HERE / "regressions").glob("*.py")) for one in sections(path)]


def snippets(*, native: bool) -> list[dict[str, str]]:
    """Return the agents' snippets that need, or do not need, native packages."""
    lines = [json.loads(line) for line in SNIPPETS.read_text(encoding="utf-8").splitlines()]
    return [one for one in lines if native == any(need.split(".")[0] in NATIVE for need in one["needs"])]


def attacks(layer: str) -> list[dict[str, str]]:
    """Return the attacks of one layer."""
    return [
        one
        for one in map(json.loads, ATTACKS.read_text(encoding="utf-8").splitlines())
        if one["layer"] == layer
    ]


def node_types(programs: list[Program]) -> set[str]:
    """Return the node types that programs parse to."""
    return {type(node).__name__ for one in programs for node in ast.walk(ast.parse(one.source))}


def allowed_node_types() -> set[str]:
    """Return the node types of all groups but those that layer 2 takes in no policy."""
    groups = {
        group: names.split()
        for group, names in nodes._GROUPS.items()
        if group not in {"@except-star", "@type-parameters"}
    }
    return {name for names in groups.values() for name in names if hasattr(ast, name) and name not in _NEWER}
