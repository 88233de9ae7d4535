"""The attacks: our own, one a file with its expectation in a strict header, beside the sample in tests/corpus/attacks.jsonl.

A file below corpus/ is a header of `# key: value` lines, an empty line, and the code; `corpus/prelude.py` runs before it.
Lines `# --- again`, `# --- beside` and `# --- next` begin a further cell: in the same session, in another one beside it,
and in another one after the first was closed; `# --- clone` one in a clone of the session, which is made after the first
cell, `# --- back` one after a rollback to before it. There PREVIOUS is what the first session printed. The marker is `escaped(...)` of the prelude: an attempt succeeded if and only
if the contiguous word is in its output.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyseccomp

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
SAMPLE = HERE.parent / "corpus" / "attacks.jsonl"
PRELUDE = CORPUS / "prelude.py"
MARKER = "ESC" + "APED"
EXPECT = frozenset("RBKHC")
UNSANDBOXED = frozenset({"escapes", "no-marker", "not-run"})
OUTCOMES = frozenset(
    {"ok", "error", "timeout_wall", "timeout_cpu", "oom", "output_limit", "killed", "crashed"}
)
LIMITS = frozenset({"memory_mib", "disk_mib", "pids", "output_kib", "cpu_seconds"})
_RESOURCE_LIMITS = (("memory_mib", 256.0), ("disk_mib", 16.0), ("pids", 32.0), ("output_kib", 256.0))
# What may come of the sample's resource items: which of these depends on how fast the machine is, and on cgroups.
_RESOURCE_OUTCOMES = {
    "RES-001": "ok", "RES-002": "ok error", "RES-003": "oom error killed", "RES-004": "oom error", "RES-006": "error oom timeout_wall",
    "RES-009": "error", "RES-010": "error", "RES-012": "output_limit", "RES-015": "timeout_wall", "RES-018": "timeout_wall",
    "RES-020": "timeout_wall oom", "RES-023": "timeout_wall", "RES-024": "ok error", "RES-030": "ok", "RES-031": "oom error timeout_wall",
    "RES-033": "error timeout_wall oom", "RES-036": "ok", "RES-039": "ok",
}  # fmt: skip
_CUT = re.compile(r"^# --- (again|beside|next|clone|back)$", re.MULTILINE)
_NUMBER = re.compile(r'NR\["(\w+)"\]')


@dataclass(frozen=True, slots=True)
class Attack:
    """One attempt. `again`, `beside` and `next` are further cells; `outcomes` are the allowed ones, any when empty."""

    name: str
    layer: str
    kind: str
    title: str
    expect: str
    unsandboxed: str
    code: str
    again: str = ""
    beside: str = ""
    next: str = ""
    clone: str = ""
    back: str = ""
    tools: bool = False  # the session has the tools of `rig.Desk`
    outcomes: frozenset[str] = frozenset()
    timeout_seconds: float = 10.0
    pause_seconds: float = 0.0
    limits: tuple[tuple[str, float], ...] = ()
    # Documented limitations, everywhere or where there is no cgroup: the marker is expected, and SECURITY.md says so.
    known: str = ""
    known_without_cgroup: str = ""

    @property
    def is_static(self) -> bool:
        """Tell whether a language-level layer is what it is about: in the jail its marker means nothing."""
        return self.layer in {"ast", "restrictedpython"}


def sample() -> list[Attack]:
    """Read the sample."""
    return [_of_sample(json.loads(line)) for line in SAMPLE.read_text().splitlines()]


def _of_sample(raw: dict[str, Any]) -> Attack:
    is_resource = raw["kind"] == "resource"
    return Attack(
        timeout_seconds=1.5 if is_resource else 10.0,
        limits=_RESOURCE_LIMITS if is_resource else (),
        name=raw["id"],
        layer=raw["layer"],
        kind=raw["kind"],
        title=raw["title"],
        expect=raw["expect_code"],
        unsandboxed=raw.get("unsandboxed", "not-run"),
        code=raw["code"],
        outcomes=frozenset(_RESOURCE_OUTCOMES.get(raw["id"], "").split()),
    )


def own() -> list[Attack]:
    """Read our own, in the order of their names."""
    files = sorted(path for path in CORPUS.rglob("*.py") if path != PRELUDE)
    return [parse(f"{path.parent.name}/{path.stem}", path.read_text()) for path in files]


def parse(name: str, text: str) -> Attack:
    """Parse a file of the corpus.

    Raises:
        ValueError: it is not as the module's docstring says.
    """
    head, empty, body = text.partition("\n\n")
    if not empty:
        raise ValueError(f"{name}: no empty line after the header")
    fields: dict[str, str] = {}
    for line in head.splitlines():
        match = re.fullmatch(r"# ([a-z_]+): (\S.*)", line)
        if match is None or match[1] in fields:
            raise ValueError(f"{name}: not a header line, or twice: {line!r}")
        fields[match[1]] = match[2]
    cells = _cells(name, body)
    attack = Attack(
        name=name,
        layer="own",
        kind="resource" if name.startswith("resource/") else "snippet",
        title=_take(name, fields, "title"),
        expect=_one_of(name, _take(name, fields, "expect"), EXPECT),
        unsandboxed=_one_of(name, _take(name, fields, "unsandboxed"), UNSANDBOXED),
        code=cells[""],
        again=cells.get("again", ""),
        beside=cells.get("beside", ""),
        next=cells.get("next", ""),
        clone=cells.get("clone", ""),
        back=cells.get("back", ""),
        tools=bool(fields.pop("tools", "")),
        outcomes=frozenset(_one_of(name, one, OUTCOMES) for one in fields.pop("outcome", "").split()),
        timeout_seconds=float(fields.pop("timeout", "10")),
        pause_seconds=float(fields.pop("pause", "0")),
        limits=_limits(name, fields.pop("limits", "")),
        known=fields.pop("known", ""),
        known_without_cgroup=fields.pop("known_without_cgroup", ""),
    )
    if fields:
        raise ValueError(f"{name}: unknown header {sorted(fields)}")
    return attack


def _cells(name: str, body: str) -> dict[str, str]:
    parts = _CUT.split(body)
    cells = {"": parts[0]}
    for kind, code in zip(parts[1::2], parts[2::2], strict=True):
        if kind in cells:
            raise ValueError(f"{name}: two cells {kind!r}")
        cells[kind] = code
    if re.search(r"^# ---", "".join(cells.values()), re.MULTILINE):
        raise ValueError(f"{name}: a cut that is no kind of cell")
    return cells


def _take(name: str, fields: dict[str, str], key: str) -> str:
    if key not in fields:
        raise ValueError(f"{name}: no {key}")
    return fields.pop(key)


def _one_of(name: str, value: str, known: frozenset[str]) -> str:
    if value not in known:
        raise ValueError(f"{name}: {value!r} is none of {sorted(known)}")
    return value


def _limits(name: str, text: str) -> tuple[tuple[str, float], ...]:
    pairs = [part.partition("=") for part in text.split()]
    return tuple((_one_of(name, key, LIMITS), float(value)) for key, _, value in pairs)


def cell(attack: Attack, code: str, previous: str = "") -> str:
    """Return a cell as it is run: with the prelude and the system call numbers it names, for our own."""
    if attack.layer != "own":
        return code
    names = sorted(set(_NUMBER.findall(code)))
    numbers = {name: pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) for name in names}
    unknown = [name for name, number in numbers.items() if number == -1]
    if unknown:
        raise ValueError(f"{attack.name}: no system call {unknown} here")
    return f"NR = {numbers!r}\nPREVIOUS = {previous!r}\n{PRELUDE.read_text()}\n{code}"
