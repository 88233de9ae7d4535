"""What must hold between the files of a chain, within one effective policy, and between a policy and its routes.

Each refusal names the file and line that somebody would have to change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sandboxd.errors import SandboxdError
from sandboxd.policy.model import EXECUTORS, Policy
from sandboxd.policy.reading import Source
from sandboxd.policy.strict_yaml import Path

_WITH_ACTION = (
    ("imports", "star"),
    ("attributes", "dynamic"),
    ("attributes", "format"),
    ("text", "bidi"),
    ("text", "zero_width"),
    ("text", "control"),
    ("text", "nfkc"),
)


def check_step(source: Source, inherited: Mapping[str, Any], written: Mapping[str, Any]) -> None:
    """Refuse a file that takes back what an ancestor demands of the isolation.

    Raises:
        SandboxdError: POLICY_INVALID.
    """
    before, own = inherited["isolate"], written.get("isolate", {})
    if before["fresh"] and own.get("fresh") is False:
        raise source.problem(
            ("isolate", "fresh"),
            "an ancestor demands fresh processes, and this cannot be taken back",
            "Remove the line, or extend a policy that does not demand it.",
        )
    executor = own.get("executor", before["executor"])
    if EXECUTORS.index(executor) < EXECUTORS.index(before["executor"]):
        raise source.problem(
            ("isolate", "executor"),
            f"an ancestor demands {before['executor']}, and {executor} isolates less",
            "Remove the line, or extend a policy that does not demand it.",
        )


def check_effective(chain: list[Source], merged: Mapping[str, Any]) -> None:
    """Refuse an effective policy that contradicts itself.

    Raises:
        SandboxdError: POLICY_INVALID.
    """
    if merged["restrict"]["enabled"] and not merged["screen"]["enabled"]:
        raise _problem(
            chain,
            (("screen", "enabled"), ("restrict", "enabled")),
            "layer 2 compiles what the screen has passed, and this switches the screen off alone",
            "Write `restrict: {enabled: false}` as well, or keep the screen.",
        )
    if not merged["route"]["to"]:
        for path in _routed(merged["screen"]):
            raise _problem(
                chain, (path,), "route leads nowhere: route.to names no policy", "Name one, or write deny."
            )


def check_routes(policies: Mapping[str, Policy], chains: Mapping[str, list[Source]]) -> None:
    """Refuse a policy with a route to one that is not there, or that isolates less.

    Raises:
        SandboxdError: POLICY_INVALID.
    """
    for name, policy in policies.items():
        for index, target in enumerate(policy.route_to):
            if target not in policies:
                fault, remedy = f"there is no policy {target!r}", f"Policies: {', '.join(sorted(policies))}."
            elif target == name:
                fault, remedy = "a policy cannot be its own route", "Remove it."
            elif target in policy.route_to[:index]:
                fault, remedy = f"{target!r} stands here a second time", "Remove it."
            else:
                fault = policy.weakness_of(policies[target])
                remedy = "Route to a policy that isolates at least as much."
            if fault:
                raise _problem(chains[name], (("route", "to", index),), fault, remedy)


def confine(chain: list[Source], merged: Mapping[str, Any], facades: Collection[str]) -> None:
    """Keep of a restricting policy's modules those that have a facade: nothing else can be imported there.

    What an ancestor lists for its own snippets goes; what the file itself lists is its author's mistake.

    Raises:
        SandboxdError: POLICY_INVALID.
    """
    if not merged["restrict"]["enabled"]:
        return
    imports = merged["screen"]["imports"]
    lacking = [pattern for pattern in imports["allow"] if not _has_facade(pattern, facades)]
    imports["allow"] = [pattern for pattern in imports["allow"] if pattern not in lacking]
    own = chain[-1].file.screen.imports if chain[-1].file.screen else None
    for index, pattern in enumerate(own.allow if own else ()):
        if pattern in lacking:
            raise chain[-1].problem(
                ("screen", "imports", "allow", index),
                f"{pattern!r} has no facade, so a policy that restricts cannot let it in",
                "Remove it, and name in route.to a policy that has it; or write restrict: {enabled: false}.",
            )


def _has_facade(pattern: str, facades: Collection[str]) -> bool:
    """Tell whether a pattern names a module with a facade, something in one, or what leads to one."""
    path = pattern.removesuffix(".*")
    return any(f"{path}.".startswith(f"{name}.") or name.startswith(f"{path}.") for name in facades)


def _routed(screen: Mapping[str, Any]) -> Iterator[Path]:
    """Return the keys below `screen` whose action is route."""
    for section, key in _WITH_ACTION:
        if screen[section][key] == "route":
            yield "screen", section, key
    for rule, action in screen["actions"].items():
        if action == "route":
            yield "screen", "actions", rule


def _problem(chain: list[Source], paths: tuple[Path, ...], message: str, remedy: str) -> SandboxdError:
    """Point into the nearest file that has one of the keys; where it was inherited, say by whom: that one is at fault."""
    own = chain[-1]
    for source in reversed(chain):
        for path in paths:
            if path in source.document.lines:
                heir = "" if source is own else f" (inherited by policy {own.name}, {own.origin})"
                return source.problem(path, message + heir, remedy)
    return chain[-1].problem((), message, remedy)
