"""What the policy says of a call: patterns of tool names, and constraints of arguments. Every refusal is a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from sandboxd.policy import Policy

_SEPARATORS = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
class Rules:
    """One policy's rules of tools. `arguments` holds for each tool whose name a pattern of it matches."""

    policy: str
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    arguments: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @classmethod
    def of(cls, policy: Policy) -> Rules:
        """Take a policy's rules."""
        return cls(policy.name, policy.tools_allow, policy.tools_deny, policy.tools_arguments)

    def allows(self, tool: str) -> bool:
        """Tell whether a tool may be called with some arguments. `deny` wins."""
        return _any(self.allow, tool) and not _any(self.deny, tool)

    def refusal(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Tell why a call is not allowed, "" where it is."""
        if not self.allows(tool):
            return f"policy {self.policy} does not allow the tool {tool}"
        for pattern, constraints in self.arguments.items():
            if matches(pattern, tool):
                for name, constraint in constraints.items():
                    problem = _problem(constraint, arguments, name)
                    if problem:
                        return (
                            f"policy {self.policy} allows {tool} only where the argument {name!r} {problem}"
                        )
        return ""


def matches(pattern: str, tool: str) -> bool:
    """Tell whether a pattern of a policy matches: a star stands for any rest, at the beginning or the end."""
    if pattern == "*":
        return True
    middle = pattern.strip("*")
    starts, ends = pattern.startswith("*"), pattern.endswith("*")
    if starts and ends:
        return middle in tool
    if starts:
        return tool.endswith(middle)
    return tool.startswith(middle) if ends else tool == pattern


def _any(patterns: Sequence[str], tool: str) -> bool:
    return any(matches(pattern, tool) for pattern in patterns)


def _problem(constraint: Mapping[str, Any], arguments: Mapping[str, Any], name: str) -> str:
    if name not in arguments:
        return "is given" if constraint.get("required") else ""
    value = arguments[name]
    most = constraint.get("max_length")
    if most is not None and not (isinstance(value, str | list) and len(value) <= most):
        return f"has a length of at most {most}"
    for item in value if isinstance(value, list) else (value,):
        for key, check in _CHECKS.items():
            if key in constraint and not check(item, constraint[key]):
                return _SAID[key].format(constraint[key])
    return ""


def _is_one_of(value: Any, allowed: Sequence[Any]) -> bool:
    return any(isinstance(value, bool) is isinstance(one, bool) and value == one for one in allowed)


def _starts(value: Any, prefix: str) -> bool:
    """Tell whether a text starts so and stays there: `/data/../etc` does not, nor spelt with percents."""
    return (
        isinstance(value, str)
        and value.startswith(prefix)
        and ".." not in _SEPARATORS.split(unquote(unquote(value)))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: Mapping[str, Callable[[Any, Any], bool]] = {
    "enum": _is_one_of,
    "prefix": _starts,
    "min": lambda value, least: _is_number(value) and value >= least,
    "max": lambda value, most: _is_number(value) and value <= most,
}
_SAID = {
    "enum": "is one of {0!r}",
    "prefix": "starts with {0!r}, without .. in it",
    "min": "is a number of at least {0}",
    "max": "is a number of at most {0}",
}
