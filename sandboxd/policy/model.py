"""What a policy is once it is resolved: frozen values that the other parts read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import Limits

_NARROWABLE = (
    "wall_seconds",
    "grace_seconds",
    "cpu_seconds",
    "memory_bytes",
    "disk_bytes",
    "output_bytes",
    "pids",
    "files",
    "tool_calls",
    "tool_bytes",
    "tool_seconds",
    "tool_wait_seconds",
    "forks",
)
EXECUTORS = ("process", "runc", "runsc")
"""The tiers, from weaker to stronger: a jail on the host's kernel; a container on it; a container with its own kernel."""
NOT_OF_TIER = {"runc": frozenset({"user_namespace"})}
"""What a tier has only where the host's engine was set up for it (userns-remap): no file inherits it into that tier."""

LEAST_MEMORY_BYTES = 16 * 2**20
"""An interpreter with less than 8 MiB does not start, and the kernel refuses a limit below what a group holds already."""

_SECONDS = frozenset({"wall_seconds", "grace_seconds", "cpu_seconds", "tool_seconds", "tool_wait_seconds"})
_MAY_BE_0 = frozenset(
    {"grace_seconds", "tool_calls", "tool_bytes", "tool_seconds", "tool_wait_seconds", "forks"}
)


@dataclass(frozen=True, slots=True)
class ScreenRules:
    """What the screen lets through. Patterns are dotted module names; `name.*` takes the submodules in.

    `elsewhere` only feeds hints: which other policy would allow a module.
    """

    imports_allow: tuple[str, ...]
    imports_deny: tuple[str, ...]
    imports_star: str  # an action: deny, route, warn, audit or allow
    builtins_deny: tuple[str, ...]
    attributes_allow: tuple[str, ...]
    attributes_deny: tuple[str, ...]
    attributes_dynamic: str  # an action: getattr() with a computed name
    attributes_format: str  # an action: str.format() on a computed template
    nodes_allow: tuple[str, ...]
    budgets: Mapping[str, int]
    text: Mapping[str, str]
    actions: Mapping[str, str]  # by rule name; a rule that is not listed is denied
    restricted: bool = False
    policy: str = ""
    environment: str = ""
    elsewhere: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain data for the screener process."""
        values = {name.name: getattr(self, name.name) for name in dataclasses.fields(self)}
        return {
            **values,
            "budgets": dict(self.budgets),
            "text": dict(self.text),
            "actions": dict(self.actions),
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """One effective policy. `digest` names its content; `yaml` is that content for people."""

    name: str
    description: str
    digest: str
    yaml: str
    limits: Limits
    executor: str
    environment: str
    network: str
    require: tuple[str, ...]
    screen: ScreenRules
    screened: bool
    restricted: bool = False  # layer 2 is on
    route_to: tuple[str, ...] = ()  # policies that a one-shot may move to, in this order
    fresh: bool = False
    revision: int = 1
    tools_allow: tuple[str, ...] = ()
    tools_deny: tuple[str, ...] = ()
    tools_arguments: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    checkpoint_per_snippet: bool = False  # a clone from before each snippet is kept, to restore after a kill

    def narrow(self, wanted: Mapping[str, float | int | None]) -> Limits:
        """Return the limits of a request that asked for less than the policy grants.

        Args:
            wanted: field names of `Limits` to values; None and absent mean "as the policy says".

        Raises:
            SandboxdError: LIMIT_ABOVE_POLICY, or INVALID_REQUEST for what is no limit.
        """
        changes: dict[str, float | int] = {}
        for name, value in wanted.items():
            if value is not None:
                changes[name] = self._narrowed(name, value)
        return dataclasses.replace(self.limits, **changes)  # type: ignore[arg-type]

    def met(self, wanted: Mapping[str, float | int | None]) -> dict[str, float | int]:
        """Return what a request that was made of another policy may ask of this one: the smaller of both.

        Args:
            wanted: as `narrow` takes them, and accepted by the other policy's `narrow`.
        """
        given = {name: value for name, value in wanted.items() if value is not None}
        return {name: min(value, getattr(self.limits, name)) for name, value in given.items()}

    @property
    def min_tier(self) -> str:
        """The weakest tier in which a snippet that this policy passes may run."""
        return "restricted" if self.restricted else self.executor

    def weakness_of(self, other: Policy) -> str:
        """Tell in what another policy isolates less than this one, "" where in nothing.

        `restrict` is no part of it: it is a filter, and what moves is screened again by the rules of where it goes.
        """
        missing = sorted(
            set(self.require) - set(other.require) - NOT_OF_TIER.get(other.executor, frozenset())
        )
        faults = {
            f"{other.name} has no screen": not other.screened,
            f"{other.name} has the executor {other.executor}, which isolates less than {self.executor}": (
                EXECUTORS.index(other.executor) < EXECUTORS.index(self.executor)
            ),
            f"{other.name} does not require {', '.join(missing)}": bool(missing),
            f"{other.name} does not demand fresh processes": self.fresh and not other.fresh,
            f"{other.name} has the network {other.network}": other.network not in {self.network, "none"},
            f"{other.name} does not hold the whole sandbox to its memory limit": (
                self.limits.memory_enforce == "total" and other.limits.memory_enforce != "total"
            ),
        }
        return next((fault for fault, present in faults.items() if present), "")

    def _narrowed(self, name: str, value: float) -> float | int:
        if name not in _NARROWABLE:
            raise _invalid(f"there is no limit {name[:60]!r}", f"Limits: {', '.join(_NARROWABLE)}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise _invalid(f"{name} must be a finite number", "Leave it out for the policy's value.")
        if value < 0 or (value == 0 and name not in _MAY_BE_0):
            raise _invalid(f"{name} must be above 0", "Leave it out for the policy's value.")
        if name == "memory_bytes" and value < LEAST_MEMORY_BYTES:
            raise _invalid(f"{name} must be at least {LEAST_MEMORY_BYTES}", "No interpreter lives on less.")
        granted = getattr(self.limits, name)
        if value > granted:
            raise SandboxdError(
                Code.LIMIT_ABOVE_POLICY,
                f"{name} {value:g} is above {granted:g}, which policy {self.name} grants.",
                remedy="Ask for less, or use a policy that grants more.",
                failure=FailureClass.NOT_STARTED,
                limit=name,
                granted=f"{granted:g}",
            )
        if name in _SECONDS:
            return float(value)
        if value != int(value):
            raise _invalid(f"{name} must be a whole number", "Round it down.")
        return int(value)


def _invalid(message: str, remedy: str) -> SandboxdError:
    return SandboxdError(Code.INVALID_REQUEST, message, remedy=remedy, failure=FailureClass.NOT_STARTED)
