"""Render MATRIX.md from the golden results: for people, and for review when a result changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import golden
from attack import HERE, Attack, own, sample
from controls import CONTROLS, Control

FILE = HERE / "MATRIX.md"
CONFIGURATIONS = ("root_cgroup", "root_none", "user_cgroup", "user_none")
SCREEN = HERE.parent / "corpus" / "screen_denied.json"
HEAD = """# What stopped each attack

Made by `tests/security` with `--update-golden`; `make test` fails when it is stale. How to read it, and how to run more of it:
[CONTRIBUTING.md](../../CONTRIBUTING.md#attacks).

{summary}

Columns are who runs the daemon, and whether it has cgroups: each attack ran through the real daemon with the screen off. A
cell names the errors that the attack met or, where it met none, how it ended; "no effect" means that it ran and changed
nothing. "inside its own box" is said of an item against the language-level layers: its marker means that it reached Python's
innards, and nothing of the host. What is allowed and documented is "known".
"""


def render() -> str:
    """Return the whole file."""
    attacks = {attack.name: attack for attack in (*own(), *sample())}
    results = {name: golden.load(name).get("results", {}) for name in CONFIGURATIONS}
    parts = [HEAD.format(summary=_summary(attacks, results))]
    parts += [_attacks("Our own", [one for one in attacks.values() if one.layer == "own"], results)]
    parts += [
        _attacks(
            "The sample",
            [one for one in attacks.values() if one.layer != "own" and not one.is_static],
            results,
        )
    ]
    parts += [_statics([one for one in attacks.values() if one.is_static], results)]
    parts += [_controls(golden.load("controls").get("results", {}))]
    return "\n".join(parts)


def _summary(attacks: Mapping[str, Attack], results: Mapping[str, Mapping[str, str]]) -> str:
    lines = []
    for name, found in results.items():
        succeeded = [key for key, by in found.items() if by.startswith("SUCCEEDS")]
        known = [key for key, by in found.items() if by.startswith("known")]
        lines.append(
            f"- `{name}`: {len(found)} attacks, **{len(succeeded)} successes**, {len(known)} documented limitation"
            + ("s" if len(known) != 1 else "")
        )
    kinds = {
        "covered": sum(bool(one.cover) for one in CONTROLS),
        "closed": sum(one.closed for one in CONTROLS),
    }
    lines.append(
        f"- {len(CONTROLS)} controls taken away one at a time: {kinds['closed']} without which no box opens, {kinds['covered']} that "
        "share their attack with another control, the rest each with attacks that succeed without it"
    )
    requests = sum(one.kind == "request" for one in attacks.values())
    lines.append(f"- {requests} items that are requests: `test_requests.py` says where each is tested")
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _attacks(title: str, attacks: list[Attack], results: Mapping[str, Mapping[str, str]]) -> str:
    lines = [
        f"## {title}",
        "",
        _row(["attack", "", *(name.replace("_", ", ") for name in CONFIGURATIONS)]),
        "|---" * 6 + "|",
    ]
    lines += [
        _row([one.name, one.title, *(found.get(one.name, "") for found in results.values())])
        for one in attacks
        if any(one.name in found for found in results.values())
    ]
    return "\n".join(lines) + "\n"


def _statics(attacks: list[Attack], results: Mapping[str, Mapping[str, str]]) -> str:
    denied = json.loads(SCREEN.read_text())["default"]
    lines = [
        "## Items against the language-level layers",
        "",
        "Screened by policy `default`, and then straight in the jail.",
        "",
    ]
    lines += [
        _row(["attack", "", "screen", *(name.replace("_", ", ") for name in CONFIGURATIONS)]),
        "|---" * 7 + "|",
    ]
    for one in attacks:
        cells = [found.get(one.name, "") for found in results.values()]
        lines.append(_row([one.name, one.title, denied.get(one.name, "passes"), *cells]))
    return "\n".join(lines) + "\n"


def _controls(through: Mapping[str, list[str]]) -> str:
    lines = [
        "## One control off",
        "",
        _row(["control", "taken away in", "then", "and also succeed (as root)"]),
        "|---" * 4 + "|",
    ]
    for control in CONTROLS:
        also = [name for name in through.get(control.name, []) if name not in control.attacks]
        files = sorted({edit.path for edit in control.edits})
        lines.append(_row([control.name, ", ".join(files), _then(control), ", ".join(also)]))
    return "\n".join(lines) + "\n"


def _then(control: Control) -> str:
    if control.closed:
        return "no box opens" + (f" ({control.only} only: {control.why})" if control.only else "")
    parts = []
    if control.attacks:
        parts.append(f"{', '.join(control.attacks)} succeed" + ("" if len(control.attacks) > 1 else "s"))
    if control.cover:
        parts.append(f"with {', '.join(control.cover)} off too, which alone lets none of them through")
    if control.probe:
        parts.append(f"the probe {control.probe} fails")
    if control.only:
        parts.append(f"{control.only} only: {control.why}")
    return "; ".join(parts)


def write(path: Path = FILE) -> None:
    """Write the file."""
    path.write_text(render())
