"""A policy's screen rules in the form that the checks look things up in."""

from __future__ import annotations

import functools
from typing import Any


class Rules:
    """One policy's rules, made once for each policy from plain JSON."""

    def __init__(self, form: dict[str, Any]) -> None:
        self.policy: str = form["policy"]
        self.environment: str = form["environment"]
        self.budgets: dict[str, int] = form["budgets"]
        self.text: dict[str, str] = form["text"]
        self.node_groups = frozenset(form["nodes_allow"])
        self.builtins_deny = frozenset(form["builtins_deny"])
        self.star: str = form["imports_star"]
        self.dynamic: str = form["attributes_dynamic"]
        self.format: str = form["attributes_format"]
        self.actions: dict[str, str] = form["actions"]
        self.restricted: bool = form["restricted"]
        self.elsewhere = dict(form["elsewhere"])
        self._attributes_allow = frozenset(form["attributes_allow"])
        self._attributes_deny = frozenset(name for name in form["attributes_deny"] if not name.endswith("*"))
        self._deny_prefixes = tuple(name[:-1] for name in form["attributes_deny"] if name.endswith("*"))
        self.modules = Modules(form["imports_allow"], form["imports_deny"])

    def elsewhere_of(self, path: str) -> str:
        """Return the policy that takes a module which this one refuses, or ""."""
        while path:
            if path in self.elsewhere:
                return str(self.elsewhere[path])
            path = path.rpartition(".")[0]
        return ""

    def attribute_verdict(self, name: str) -> str:
        """Return the rule that an attribute name breaks, or "".

        Deny comes before allow: `__*` is denied by form unless listed, the deny list whatever else is listed.
        """
        if name in self._attributes_deny or (self._deny_prefixes and name.startswith(self._deny_prefixes)):
            return "attribute-denied"
        if name in self._attributes_allow or not name.endswith("__"):
            return ""
        return "attribute-not-allowed"


_REMEMBERED = 1024  # a hostile text's names are long: bounded by 16 MiB at the worst


class Modules:
    """Longest-prefix match over dotted names."""

    def __init__(self, allow: list[str], deny: list[str]) -> None:
        self._allow = {_without_star(pattern) for pattern in allow}
        self._deny = {_without_star(pattern) for pattern in deny}
        self._recursive = {pattern[:-2] for pattern in allow if pattern.endswith(".*")}
        self._ancestors = {prefix for name in self._allow for prefix in _prefixes(name)[1:]}
        # Asked for every name of every text; few names are many of the answers.
        self.member_allowed = functools.lru_cache(_REMEMBERED)(self._member_allowed)
        self.module_allowed = functools.lru_cache(_REMEMBERED)(self._module_allowed)

    def _member_allowed(self, path: str) -> bool:
        """Say whether a member (or what is below it) is listed."""
        for prefix in _prefixes(path):
            if prefix in self._deny:
                return False
            if prefix in self._allow:
                return True
        return False

    def _module_allowed(self, path: str) -> bool:
        """Say whether a module itself is listed, or lies below a `name.*`."""
        for prefix in _prefixes(path):
            if prefix in self._deny:
                return False
            if prefix in self._allow:
                return prefix == path or prefix in self._recursive
        return False

    def leads_to_members(self, path: str) -> bool:
        """Say whether something below this path is listed."""
        return path in self._ancestors

    def wholly_allowed(self, path: str) -> bool:
        """Say whether a module is allowed and none of its direct members is denied."""
        return self.module_allowed(path) and not any(name.rpartition(".")[0] == path for name in self._deny)

    def is_listed(self, path: str) -> bool:
        """Say whether exactly this path is on the allow list."""
        return path in self._allow

    def is_module(self, path: str) -> bool:
        """Say whether the policy itself shows that a path is a module."""
        return path in self._recursive or path in self._ancestors


def _without_star(pattern: str) -> str:
    return pattern.removesuffix(".*")


def _prefixes(path: str) -> list[str]:
    """Return a dotted path and its ancestors, longest first."""
    found = [path]
    while (end := path.rfind(".")) >= 0:
        path = path[:end]
        found.append(path)
    return found
