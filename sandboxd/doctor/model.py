"""What a check says, and what all of them say together. These values are the JSON of `sandboxd doctor --json`.

Stable: the names of fields and statuses, and the ids of checks and protections. A field may be added; anything else raises
`SCHEMA`. The JSON Schema is `report.schema.json` beside this file (`sandboxd doctor --schema`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SCHEMA = 1


class Status(StrEnum):
    """How a thing stands: wholly there, there but weaker, not there, or nobody can tell."""

    OK = "ok"
    DEGRADED = "degraded"
    MISSING = "missing"
    UNKNOWN = "unknown"


class Evidence(StrEnum):
    """How it is known: by doing it, by reading what the kernel says, by concluding from other checks, or not at all."""

    TRIED = "tried"
    READ = "read"
    INFERRED = "inferred"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        id: stable name; never that of a protection.
        area: kernel, namespaces, cgroups, processor, host or daemon.
        required: whether the process tier cannot run without it.
        found: what was seen, short.
        protects: what it is good for.
        why: what follows from what was found, or why it is so; empty where there is nothing to add.
        remedy: the commands that mend it, to be pasted; empty where all is well.
    """

    id: str
    area: str
    status: Status
    evidence: Evidence
    required: bool
    found: str
    protects: str
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionCheck:
    """Whether a jail on this host gets a protection, under the name that policies require."""

    name: str
    status: Status
    evidence: Evidence
    protects: str
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCheck:
    """Whether this host can enforce a policy; `lacks` names protections and environments that are not there."""

    name: str
    status: Status
    lacks: tuple[str, ...] = ()
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Whether the process tier runs here: a jail was built and taken down again, or it was concluded from checks."""

    status: Status
    evidence: Evidence
    why: str = ""
    remedy: str = ""
    code: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Which host this is, as its own files call it, and as whom the doctor looked."""

    system: str
    kernel: str
    machine: str
    container: str
    uid: int | None
    sandboxd: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `--require` and `--policy` asked for, and what of it this host lacks."""

    require: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it. `exit_code` is what the command ends with."""

    schema: int
    exit_code: int
    host: Machine
    process_tier: Tier
    protections: tuple[ProtectionCheck, ...]
    policies: tuple[PolicyCheck, ...]
    checks: tuple[Check, ...]
    asked: Asked


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check is about; its methods make the result."""

    id: str
    area: str
    protects: str
    required: bool = False

    def ok(self, found: str, evidence: Evidence, why: str = "") -> Check:
        """Say that it is wholly there."""
        return self._check(Status.OK, evidence, found, why, "")

    def degraded(self, found: str, evidence: Evidence, *, why: str, remedy: str) -> Check:
        """Say that it is there, but weaker than it could be."""
        return self._check(Status.DEGRADED, evidence, found, why, remedy)

    def missing(self, found: str, evidence: Evidence, *, why: str, remedy: str) -> Check:
        """Say that it is not there."""
        return self._check(Status.MISSING, evidence, found, why, remedy)

    def unknown(self, why: str, remedy: str = "Run `sandboxd doctor` as root, on the host itself.") -> Check:
        """Say that nobody can tell, and why."""
        return self._check(Status.UNKNOWN, Evidence.NONE, "unknown", why, remedy)

    def _check(self, status: Status, evidence: Evidence, found: str, why: str, remedy: str) -> Check:
        return Check(
            id=self.id,
            area=self.area,
            status=status,
            evidence=evidence,
            required=self.required,
            found=found,
            protects=self.protects,
            why=why,
            remedy=remedy,
        )
