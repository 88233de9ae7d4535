"""All policies of a daemon: the shipped ones and those of the operator's directory, resolved and frozen."""

from __future__ import annotations

from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import Any

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.policy.checks import check_routes, confine
from sandboxd.policy.model import Policy
from sandboxd.policy.reading import Source, read_source
from sandboxd.policy.resolve import build, effective
from sandboxd.policy.strict_yaml import MAX_BYTES

# The folder below this package is a link to the top-level `policies/`, and plain files in an installed wheel.
_SHIPPED = "shipped"
_MAX_CHAIN = 8


class PolicySet:
    """Policies by name. Immutable: a reload loads a new set and swaps it in, or keeps the old one."""

    def __init__(self, policies: dict[str, Policy], *, default: str, allow_unscreened: bool) -> None:
        self._policies = policies
        self._allow_unscreened = allow_unscreened
        self.default = default
        self.get(default)

    @classmethod
    def load(
        cls,
        directory: Path | None,
        *,
        default: str,
        allow_unscreened: bool,
        facades: Collection[str] | None = None,
    ) -> PolicySet:
        """Read the shipped policies, then `*.yaml` of a directory.

        Args:
            directory: the operator's, None for none.
            default: the policy that an empty name is.
            allow_unscreened: give out policies without a screen.
            facades: the modules that a policy that restricts can have (`sandboxd.guest.restricted`); None takes its word.

        Raises:
            SandboxdError: POLICY_INVALID with file:line and key; CONFIG_INVALID for a directory that is none;
                POLICY_NOT_FOUND or POLICY_NOT_ALLOWED for a default that cannot be one.
        """
        sources = {source.name: source for source in _shipped()}
        for source in _operators(directory) if directory else ():
            if source.name in sources:
                raise source.problem(
                    ("metadata", "name"),
                    f"the name {source.name!r} is taken by a shipped policy",
                    "Choose another name, extend the shipped policy, and set default_policy to yours.",
                )
            sources[source.name] = source
        return cls(_resolve(sources, facades), default=default, allow_unscreened=allow_unscreened)

    def get(self, name: str) -> Policy:
        """Return a policy; an empty name is the default.

        Raises:
            SandboxdError: POLICY_NOT_FOUND, POLICY_NOT_ALLOWED.
        """
        policy = self._policies.get(name or self.default)
        if policy is None:
            raise SandboxdError(
                Code.POLICY_NOT_FOUND,
                f"there is no policy {name[:60]!r}.",
                remedy=f"Policies: {', '.join(self.names())}.",
                failure=FailureClass.NOT_STARTED,
            )
        if not policy.screened and not self._allow_unscreened:
            raise SandboxdError(
                Code.POLICY_NOT_ALLOWED,
                f"policy {policy.name} switches the screen off, which this daemon does not allow.",
                remedy="Use a screened policy; to test the boundary alone, start the daemon with --allow-unscreened.",
                failure=FailureClass.NOT_STARTED,
            )
        return policy

    def names(self) -> tuple[str, ...]:
        """Return the names of the policies that `get` gives out, sorted."""
        usable = (name for name, one in self._policies.items() if one.screened or self._allow_unscreened)
        return tuple(sorted(usable))


def _shipped() -> list[Source]:
    folder = resources.files(__package__) / _SHIPPED
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".yaml")), key=lambda one: one.name)
    if not files:
        raise SandboxdError(
            Code.POLICY_INVALID, "the shipped policies are missing.", remedy="Reinstall sandboxd."
        )
    return [read_source(f"policies/{one.name}", one.read_bytes()) for one in files]


def _operators(directory: Path) -> list[Source]:
    if not directory.is_dir():
        raise SandboxdError(
            Code.CONFIG_INVALID,
            f"the policy directory {directory} is no directory.",
            remedy="Create it, or change policy_dir.",
        )
    sources = []
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix == ".yaml" and path.is_file():
            sources.append(_named_after_its_file(read_source(str(path), _bounded(path)), path))
        elif path.suffix in {".yml", ".yaml"}:
            raise SandboxdError(
                Code.POLICY_INVALID,
                f"{path}:1: a policy must be a regular file that ends in .yaml; this one would be ignored.",
                remedy="Rename or remove it.",
            )
    return sources


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _named_after_its_file(source: Source, path: Path) -> Source:
    if source.name != path.stem:
        remedy = f"Rename the file to {source.name}.yaml, or the policy to {path.stem}."
        raise source.problem(("metadata", "name"), f"policy {source.name!r} stands in {path.name}", remedy)
    return source


def _resolve(sources: dict[str, Source], facades: Collection[str] | None) -> dict[str, Policy]:
    chains = {name: _chain(name, sources) for name in sources}
    merged = {name: effective(chain) for name, chain in chains.items()}
    for name, form in merged.items():
        if facades is not None:
            confine(chains[name], form, facades)
    policies = {
        name: build(sources[name], form, _elsewhere(name, form, merged))
        for name, form in sorted(merged.items())
    }
    check_routes(policies, chains)
    return policies


def _chain(name: str, sources: dict[str, Source]) -> list[Source]:
    """Return a policy's ancestors and itself, furthest ancestor first."""
    chain = [sources[name]]
    while (parent := chain[0].file.extends) is not None:
        if parent not in sources:
            known = ", ".join(sorted(sources))
            raise chain[0].problem(("extends",), f"there is no policy {parent!r}", f"Policies: {known}.")
        if sources[parent] in chain or len(chain) == _MAX_CHAIN:
            way = " -> ".join(one.name for one in reversed(chain))
            remedy = f"Extend a policy that does not lead back here, {_MAX_CHAIN} levels at most."
            raise chain[0].problem(("extends",), f"the chain {way} -> {parent} does not end", remedy)
        chain.insert(0, sources[parent])
    return chain


def _elsewhere(
    name: str, form: dict[str, Any], merged: dict[str, dict[str, Any]]
) -> tuple[tuple[str, str], ...]:
    """Return (module, policy) pairs for hints: modules that this policy refuses and another screened one allows."""
    own = {one for pattern in form["screen"]["imports"]["allow"] for one in _leading_to(pattern)}
    found: dict[str, str] = {}
    # Where a snippet would move by itself comes before where its author could send it.
    for other in (*form["route"]["to"], *sorted(merged)):
        its_form = merged.get(other, form)
        if other != name and its_form["screen"]["enabled"] and not _is_stricter(its_form, form):
            for pattern in its_form["screen"]["imports"]["allow"]:
                for one in _leading_to(pattern):
                    if one not in own:
                        found.setdefault(one, other)
    return tuple(sorted(found.items()))


def _leading_to(pattern: str) -> list[str]:
    """Return a module or member and what one writes to get at it: `import os` for `os.walk`."""
    parts = pattern.removesuffix(".*").split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _is_stricter(other: dict[str, Any], form: dict[str, Any]) -> bool:
    """Tell whether layer 2 is on in the other policy alone: what a facade has of a module is no way out for anyone."""
    return bool(other["restrict"]["enabled"] and not form["restrict"]["enabled"])
