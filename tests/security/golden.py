"""Golden results: what stopped each attack, a file per user and cgroup, and MATRIX.md made of them for people to read.

How a program hears of a refusal depends on its interpreter, so the words are compared where the recorded one runs; that
nothing succeeds is asserted everywhere, by the tests themselves.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

# What they end in is a race, of which every end is asserted to be harmless: a bomb in a clone may cost the tree its pid 1.
_RACES = (
    "RES-",
    "resource/",
    "channel/send_descriptors",
    "tree/bomb",
    "tree/destroys_checkpoints",
    "tree/nursery",
    "tree/held",
    "tools/flood",
)
DIRECTORY = Path(__file__).with_name("golden")


def path(name: str) -> Path:
    """Return the file of a configuration."""
    return DIRECTORY / f"{name}.json"


def load(name: str) -> dict[str, Any]:
    """Read a golden file; an empty one where there is none."""
    return dict(json.loads(path(name).read_text())) if path(name).exists() else {}


def where() -> dict[str, str]:
    """Name what the words of the results depend on."""
    return {"python": platform.python_version(), "machine": platform.machine()}


def _depends_on_speed(key: str) -> bool:
    """How such an item ends is asserted by its own list of outcomes: fast machines meet another limit first."""
    return key.startswith(_RACES)


def settle(name: str, results: dict[str, Any], *, update: bool) -> list[str]:
    """Write the results, or return how they differ from what was written."""
    if update:
        DIRECTORY.mkdir(exist_ok=True)
        text = json.dumps({"where": where(), "results": results}, indent=1, sort_keys=True)
        path(name).write_text(text + "\n")
        return []
    known = load(name)
    if not known:
        return [f"no golden file {path(name).name}: run with --update-golden"]
    before = known["results"]
    if known["where"] != where():
        return [f"{key}: not in the golden file" for key in results.keys() - before.keys()]
    return [
        f"{key}: {results.get(key)!r}, golden {before.get(key)!r}"
        for key in sorted(results.keys() | before.keys())
        if results.get(key) != before.get(key) and not (_depends_on_speed(key) and key in before)
    ]
