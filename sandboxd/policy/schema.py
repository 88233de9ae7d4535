"""The form of a policy file, and the JSON Schema that editors and reviewers' tools read.

Strict throughout: an unknown key, a wrong type or a value outside its range is an error, never ignored or coerced.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from sandboxd.hosts import ProtectionName
from sandboxd.policy.model import LEAST_MEMORY_BYTES
from sandboxd.policy.rule_actions import SETTABLE
from sandboxd.policy.units import DURATION_PATTERN, SIZE_PATTERN, parse_duration, parse_size

Action: TypeAlias = Literal["deny", "route", "warn", "audit", "allow"]
NodeGroup: TypeAlias = Literal[
    "@core",
    "@functions",
    "@classes",
    "@comprehensions",
    "@generators",
    "@match",
    "@annotations",
    "@async",
    "@except-star",
    "@type-parameters",
    "@template-strings",
]

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
ModulePattern: TypeAlias = Annotated[
    str, StringConstraints(pattern=rf"^{_NAME}(\.{_NAME})*(\.\*)?$", max_length=200)
]
NamePattern: TypeAlias = Annotated[str, StringConstraints(pattern=rf"^{_NAME}\*?$", max_length=100)]
ToolPattern: TypeAlias = Annotated[str, StringConstraints(pattern=rf"^(\*?{_NAME}\*?|\*)$", max_length=100)]
Constant: TypeAlias = Annotated[str, StringConstraints(max_length=200)] | bool | int | float
Identifier: TypeAlias = Annotated[str, StringConstraints(pattern=rf"^{_NAME}$", max_length=100)]
# Without a pattern: `rule_actions.refusal` has the better answer to what is no rule's name.
RuleName: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(SETTABLE)})]
PolicyName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


def _duration(low: float, high: float) -> Any:
    schema = WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
    return Annotated[float, BeforeValidator(parse_duration), Field(ge=low, le=high), schema]


def _size(low: int, high: int) -> Any:
    schema = WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN})
    return Annotated[int, BeforeValidator(parse_size), Field(ge=low, le=high), schema]


def _count(low: int, high: int) -> Any:
    return Annotated[int, Field(ge=low, le=high)]


_DAY = 86400.0
_KIB, _MIB, _GIB, _TIB = 2**10, 2**20, 2**30, 2**40


class Section(BaseModel):
    """A mapping of a policy file."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Metadata(Section):
    """Who the policy is."""

    name: PolicyName
    revision: Annotated[int, Field(ge=1, le=10**9)] = 1
    description: Annotated[str, StringConstraints(min_length=1, max_length=500)] = ""


class Imports(Section):
    """Modules and their members. The longest matching pattern decides; at equal length deny does.

    `star` is what `from m import *` gets where m is wholly allowed; anywhere else it is denied.
    """

    allow: list[ModulePattern] = []
    deny: list[ModulePattern] = []
    star: Action | None = None


class Builtins(Section):
    """Builtin names that must not be used; `allow` takes one from the parent's list."""

    allow: list[Identifier] = []
    deny: list[Identifier] = []


class Attributes(Section):
    """Attribute names. Dunders are denied unless allowed; `*` at the end matches any rest."""

    allow: list[NamePattern] = []
    deny: list[NamePattern] = []
    dynamic: Action | None = None
    format: Action | None = None


class Nodes(Section):
    """Groups of syntax; whatever is in none of them is refused."""

    allow: list[NodeGroup] = []


class Budgets(Section):
    """How large a source and its constants may be."""

    source: _size(1, _MIB) | None = None  # type: ignore[valid-type]
    line: _size(80, _MIB) | None = None  # type: ignore[valid-type]
    nodes: _count(1, 200_000) | None = None  # type: ignore[valid-type]
    depth: _count(1, 200) | None = None  # type: ignore[valid-type]
    string: _size(1, _MIB) | None = None  # type: ignore[valid-type]
    int_bits: _count(1, 10**6) | None = None  # type: ignore[valid-type]
    pow_bits: _count(1, 10**9) | None = None  # type: ignore[valid-type]
    shift_bits: _count(1, 10**9) | None = None  # type: ignore[valid-type]
    repeat: _count(1, 10**12) | None = None  # type: ignore[valid-type]
    range: _count(1, 10**18) | None = None  # type: ignore[valid-type]


class Text(Section):
    """Characters that make a source read otherwise than it runs."""

    bidi: Action | None = None
    zero_width: Action | None = None
    control: Action | None = None
    nfkc: Action | None = None


class Restrict(Section):
    """Layer 2: RestrictedPython's compiler with guards, and facades in place of modules. It needs the screen."""

    enabled: bool | None = None


class Route(Section):
    """Where a one-shot goes whose worst finding has the action `route`: the first of `to` that lets it run.

    The order counts, so a child's list replaces its parent's. No target may isolate less than the policy itself.
    """

    to: list[PolicyName] = []


class Screen(Section):
    """Layer 1. `actions` says what a rule's finding means, by the rule's name; what is not listed is denied."""

    enabled: bool | None = None
    imports: Imports | None = None
    builtins: Builtins | None = None
    attributes: Attributes | None = None
    nodes: Nodes | None = None
    budgets: Budgets | None = None
    text: Text | None = None
    actions: dict[RuleName, Action] = {}


class Isolate(Section):
    """Layer 3. `require` names protections without which no sandbox opens; a child only adds to it.

    `executor` is the tier, from weaker to stronger: a jail of this host's kernel, a container, a container with a kernel of
    its own. A child keeps its parent's or takes a stronger one.

    `fresh` starts each sandbox from an exec of its own: its own address layout, hash seed and stack canary, for the price
    of an interpreter's start. Once demanded it stays.
    """

    executor: Literal["process", "runc", "runsc"] | None = None
    environment: PolicyName | None = None
    network: Literal["none"] | None = None
    fresh: bool | None = None
    require: list[ProtectionName] = []


class Memory(Section):
    """How much, and whether the whole sandbox must be held to it (`total` needs a cgroup)."""

    max: _size(LEAST_MEMORY_BYTES, _TIB) | None = None  # type: ignore[valid-type]
    enforce: Literal["per_process", "total"] | None = None


class ToolArgument(Section):
    """What one argument of a tool must be. Of a list each item must; `max_length` counts characters or items.

    An argument that is left out is the tool's own default; `required` refuses that.
    """

    enum: Annotated[list[Constant], Field(min_length=1, max_length=100)] | None = None
    prefix: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = (
        None  # and no `..` in the path
    )
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max_length: _count(0, 10**7) | None = None  # type: ignore[valid-type]
    required: bool | None = None


class Tools(Section):
    """Which of the client's functions the code may call, by name; `*` matches any rest. `deny` wins.

    A child's `allow` replaces its parent's, so that "every tool" can be narrowed to a few; `deny` lists add up.
    `arguments` narrows what is allowed: pattern of tools -> argument -> what it must be; all that match hold.
    """

    allow: list[ToolPattern] = []
    deny: list[ToolPattern] = []
    arguments: dict[ToolPattern, dict[Identifier, ToolArgument]] = {}


class SessionSection(Section):
    """How sessions keep their state. `per_snippet` keeps a clone from before each snippet, to restore after a kill."""

    checkpoint: Literal["none", "per_snippet"] | None = None


class LimitsSection(Section):
    """Effective limits of a session; a request may only ask for less."""

    wall: _duration(0.01, _DAY) | None = None  # type: ignore[valid-type]
    grace: _duration(0.0, 60.0) | None = None  # type: ignore[valid-type]
    cpu: _duration(0.01, _DAY) | None = None  # type: ignore[valid-type]
    memory: Memory | None = None
    pids: _count(1, 32768) | None = None  # type: ignore[valid-type]
    disk: _size(_MIB, _TIB) | None = None  # type: ignore[valid-type]
    files: _count(16, 10**7) | None = None  # type: ignore[valid-type]
    output: _size(_KIB, _GIB) | None = None  # type: ignore[valid-type]
    tool_calls: _count(0, 10**6) | None = None  # type: ignore[valid-type]
    tool_bytes: _size(0, _GIB) | None = None  # type: ignore[valid-type]
    tool_timeout: _duration(0.0, _DAY) | None = None  # type: ignore[valid-type]
    tool_wait: _duration(0.0, _DAY) | None = None  # type: ignore[valid-type]
    forks: _count(0, 4096) | None = None  # type: ignore[valid-type]


class PolicyFile(Section):
    """One policy file."""

    api_version: Annotated[Literal["sandboxd/v1"], Field(alias="apiVersion")]
    kind: Literal["Policy"]
    metadata: Metadata
    extends: PolicyName | None = None
    screen: Screen | None = None
    restrict: Restrict | None = None
    route: Route | None = None
    isolate: Isolate | None = None
    limits: LimitsSection | None = None
    tools: Tools | None = None
    session: SessionSection | None = None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a policy file."""
    schema = _without_null(PolicyFile.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _without_null(schema: Any) -> Any:
    """Drop the null branches: an absent key is None here, but a written null is an error in the file."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    branches = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    rest = {
        key: _without_null(value) for key, value in schema.items() if key != "anyOf" and value is not None
    }
    if len(branches) == 1:
        return {**_without_null(branches[0]), **rest}
    return rest | ({"anyOf": _without_null(branches)} if branches else {})
