"""From a chain of policy files to one effective policy.

Every chain starts at `FLOOR`, the strictest policy there is: no syntax, no modules, hardly any memory. A file only
loosens what stands below it, key by key:

- a number or word replaces the parent's;
- an `allow` list is added to the parent's, and takes the same entries out of the parent's `deny`; a `deny` list likewise;
- `route.to` is an order of preference, so a file's own replaces the parent's; so does an `enum` of `tools.arguments`;
  `tools.allow` too, since a parent that allows every tool could not be narrowed to a few otherwise;
- `isolate.require` only grows, `isolate.fresh` stays true and `isolate.executor` never gets weaker: no file can drop what
  its parent demands. `restrict` and `screen` are filters, which a file may switch off, `screen` only with `restrict`.
  One requirement is a tier's own: containers of runc have a user namespace where the engine remaps ids and not elsewhere,
  so the file that chooses `executor: runc` does not inherit `user_namespace`, and may require it itself.

Composition with other authorities (an organisation's ceiling, a principal's binding, the request) is a meet and happens
after this; of these only the request exists, in `Policy.narrow`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import yaml

from sandboxd.events import Limits
from sandboxd.policy.checks import check_effective, check_step
from sandboxd.policy.model import NOT_OF_TIER, Policy, ScreenRules
from sandboxd.policy.reading import Source
from sandboxd.policy.units import format_duration, format_size

_KIB, _MIB = 2**10, 2**20

FLOOR: Mapping[str, Any] = {
    "screen": {
        "enabled": True,
        "imports": {"allow": [], "deny": [], "star": "deny"},
        "builtins": {
            "deny": ["__import__", "breakpoint", "compile", "eval", "exec", "globals", "locals", "vars"]
        },
        "attributes": {"allow": [], "deny": [], "dynamic": "deny", "format": "deny"},
        "nodes": {"allow": []},
        "budgets": {
            "source": 16 * _KIB,
            "line": 2 * _KIB,
            "nodes": 5000,
            "depth": 50,
            "string": 8 * _KIB,
            "int_bits": 256,
            "pow_bits": 4096,
            "shift_bits": 4096,
            "repeat": 65536,
            "range": 10**6,
        },
        "text": {"bidi": "deny", "zero_width": "deny", "control": "deny", "nfkc": "deny"},
        "actions": {},
    },
    "restrict": {"enabled": True},
    "route": {"to": []},
    "isolate": {
        "executor": "process",
        "environment": "base",
        "network": "none",
        "fresh": False,  # a demand like those below: it costs an interpreter's start, so a policy that needs it says so
        # What every sandbox of this tier can have on any host that it starts on at all. Landlock and cgroups depend on
        # the host: a policy that needs them says so.
        "require": [
            "user_namespace",
            "mount_namespace",
            "pid_namespace",
            "network_namespace",
            "ipc_namespace",
            "uts_namespace",
            "read_only_root",
            "no_nested_userns",
            "capabilities",
            "no_new_privs",
            "seccomp",
            "rlimits",
            "non_dumpable",
        ],
    },
    "limits": {
        "wall": 5.0,
        "grace": 0.25,
        "cpu": 2.0,
        "memory": {"max": 128 * _MIB, "enforce": "total"},
        "pids": 8,
        "disk": 16 * _MIB,
        "files": 1024,
        "output": 64 * _KIB,
        "tool_calls": 0,
        "tool_bytes": 0,
        "tool_timeout": 0.0,
        "tool_wait": 0.0,
        "forks": 0,
    },
    "tools": {"allow": [], "deny": [], "arguments": {}},
    "session": {"checkpoint": "none"},
}

_ORDERED = frozenset({"to", "enum"})
_OPPOSITE = {"allow": "deny", "deny": "allow"}
_SIZES = frozenset({"source", "line", "string", "max", "disk", "output", "tool_bytes"})
_DURATIONS = frozenset({"wall", "grace", "cpu", "tool_timeout", "tool_wait"})


def effective(chain: list[Source]) -> dict[str, Any]:
    """Merge a chain, furthest ancestor first, onto the floor."""
    merged = copy.deepcopy(dict(FLOOR))
    for source in chain:
        written = source.file.model_dump(by_alias=True, exclude_unset=True)
        check_step(source, merged, written)
        if "allow" in written.get("tools", {}):
            merged["tools"] = {**merged["tools"], "allow": []}
        merged = _merge(merged, {key: written[key] for key in FLOOR if key in written})
        _fit_to_tier(merged["isolate"], written.get("isolate", {}))
    merged["screen"]["builtins"].pop("allow", None)  # it only takes names out of `deny`
    check_effective(chain, merged)
    return merged


def _fit_to_tier(isolate: dict[str, Any], written: Mapping[str, Any]) -> None:
    dropped = NOT_OF_TIER.get(written.get("executor", ""), frozenset()) - set(written.get("require", ()))
    isolate["require"] = [name for name in isolate["require"] if name not in dropped]


def build(source: Source, merged: dict[str, Any], elsewhere: tuple[tuple[str, str], ...]) -> Policy:
    """Make the frozen policy of what `effective` returned."""
    metadata = source.file.metadata
    form = {
        "apiVersion": source.file.api_version,
        "kind": source.file.kind,
        "metadata": {"name": metadata.name, "revision": metadata.revision},
        **_in_units(merged),
    }
    form["tools"] = merged["tools"]  # its arguments have names of their own, and numbers without units
    canonical = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    form["metadata"]["description"] = metadata.description
    isolate = merged["isolate"]
    return Policy(
        name=metadata.name,
        description=metadata.description,
        digest=hashlib.sha256(canonical.encode()).hexdigest(),
        yaml=yaml.safe_dump(form, sort_keys=False, width=110, allow_unicode=True),
        limits=_limits(merged["limits"]),
        executor=isolate["executor"],
        environment=isolate["environment"],
        network=isolate["network"],
        require=tuple(isolate["require"]),
        fresh=isolate["fresh"],
        screen=_rules(merged, metadata.name, elsewhere),
        screened=merged["screen"]["enabled"],
        restricted=merged["restrict"]["enabled"],
        route_to=tuple(merged["route"]["to"]),
        revision=metadata.revision,
        tools_allow=tuple(merged["tools"]["allow"]),
        tools_deny=tuple(merged["tools"]["deny"]),
        tools_arguments=merged["tools"]["arguments"],
        checkpoint_per_snippet=merged["session"]["checkpoint"] == "per_snippet",
    )


def _merge(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(parent)
    for key, value in child.items():
        if isinstance(value, Mapping):
            merged[key] = _merge(parent.get(key, {}), value)
        elif isinstance(value, list) and key not in _ORDERED:
            merged[key] = sorted({*merged.get(key, ()), *value})
            _take_out(merged, _OPPOSITE.get(key), value)
        else:
            merged[key] = value
    return merged


def _take_out(section: dict[str, Any], key: str | None, names: list[str]) -> None:
    """Remove from the inherited opposite list what a nearer file says; its own two lists cannot overlap."""
    if key in section:
        section[key] = [name for name in section[key] if name not in names]


def _in_units(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return an effective section in the form of a policy file."""
    written: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            written[key] = _in_units(value)
        elif key in _SIZES:
            written[key] = format_size(value)
        elif key in _DURATIONS:
            written[key] = format_duration(value)
        else:
            written[key] = value
    return written


def _limits(section: Mapping[str, Any]) -> Limits:
    return Limits(
        wall_seconds=section["wall"],
        grace_seconds=section["grace"],
        cpu_seconds=section["cpu"],
        memory_bytes=section["memory"]["max"],
        disk_bytes=section["disk"],
        output_bytes=section["output"],
        pids=section["pids"],
        files=section["files"],
        memory_enforce=section["memory"]["enforce"],
        tool_calls=section["tool_calls"],
        tool_bytes=section["tool_bytes"],
        tool_seconds=section["tool_timeout"],
        tool_wait_seconds=section["tool_wait"],
        forks=section["forks"],
    )


def _rules(merged: Mapping[str, Any], policy: str, elsewhere: tuple[tuple[str, str], ...]) -> ScreenRules:
    section = merged["screen"]
    attributes = section["attributes"]
    return ScreenRules(
        imports_allow=tuple(section["imports"]["allow"]),
        imports_deny=tuple(section["imports"]["deny"]),
        imports_star=section["imports"]["star"],
        builtins_deny=tuple(section["builtins"]["deny"]),
        attributes_allow=tuple(attributes["allow"]),
        attributes_deny=tuple(attributes["deny"]),
        attributes_dynamic=attributes["dynamic"],
        attributes_format=attributes["format"],
        nodes_allow=tuple(section["nodes"]["allow"]),
        budgets=dict(section["budgets"]),
        text=dict(section["text"]),
        actions=dict(section["actions"]),
        restricted=merged["restrict"]["enabled"],
        policy=policy,
        environment=merged["isolate"]["environment"],
        elsewhere=elsewhere,
    )
