"""What a policy is once it is resolved: frozen values that the other parts read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
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
)
_SECONDS = frozenset({"wall_seconds", "grace_seconds", "cpu_seconds"})


@dataclass(frozen=True, slots=True)
class ScreenRules:
    """What the screen lets through. Patterns are dotted module names; `name.*` takes the submodules in.

    `elsewhere` only feeds hints: which other policy would allow a module.
    """

    imports_allow: tuple[str, ...]
    imports_deny: tuple[str, ...]
    imports_star: str  # deny, warn or allow
    builtins_deny: tuple[str, ...]
    attributes_allow: tuple[str, ...]
    attributes_deny: tuple[str, ...]
    attributes_dynamic: str  # deny, warn or allow: getattr() with a computed name
    attributes_format: str  # deny, warn or allow: str.format() on a computed template
    nodes_allow: tuple[str, ...]
    budgets: Mapping[str, int]
    text: Mapping[str, str]
    actions: Mapping[str, str]  # by rule name; what is not listed is denied
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
    require: tuple[str, ...]
    screen: ScreenRules
    screened: bool
    restricted: bool = False  # layer 2 is on
    route_to: tuple[str, ...] = ()  # policies that a one-shot may move to, in this order
    fresh: bool = False
    revision: int = 1

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

    def _narrowed(self, name: str, value: float) -> float | int:
        if name not in _NARROWABLE:
            raise _invalid(f"there is no limit {name[:60]!r}", f"Limits: {', '.join(_NARROWABLE)}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise _invalid(f"{name} must be a finite number", "Leave it out for the policy's value.")
        if value < 0 or (value == 0 and name != "grace_seconds"):
            raise _invalid(f"{name} must be above 0", "Leave it out for the policy's value.")
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
