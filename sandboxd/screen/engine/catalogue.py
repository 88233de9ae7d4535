"""Every rule the screen has. Names and ids are stable: never renumbered, never reused.

SBX0xx text and parsing, 1xx syntax, 2xx names and attributes, 3xx modules, 4xx builtins and calls, 5xx constants, 6xx the
client's tools, 9xx the screen itself.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """A rule's stable name and id, and what it is about."""

    name: str
    rule_id: str
    summary: str

    @property
    def actions(self) -> frozenset[str]:
        """What a policy may make of it; "deny" always stands."""
        if self.name in ALWAYS_DENIED:
            return frozenset({"deny"})
        if self.name in NEVER_RUN_HERE:
            return frozenset({"deny", "route"})
        return frozenset({"deny", "route", "warn", "audit", "allow"})


# Nothing to run, no one reading of the text, or a guard switched off by the snippet itself: no policy softens these.
ALWAYS_DENIED = frozenset(
    {
        "syntax-error",
        "nul-character",
        "not-unicode",
        "source-too-complex",
        "reserved-name",
        "screen-failed",
    }
)
# The analysis ends at these, or no restricted program comes of it: another policy may take the snippet, this one cannot.
NEVER_RUN_HERE = frozenset(
    {
        "source-too-large",
        "too-many-nodes",
        "too-deeply-nested",
        "restrict-refused",
        "restrict-unavailable",
        "native-module",
    }
)

_ALL = (
    Rule("syntax-error", "SBX001", "The text is no Python program. The program's own error, not a denial."),
    Rule("source-too-large", "SBX002", "The source is larger than the policy's budget."),
    Rule("line-too-long", "SBX003", "A line is longer than the policy's budget."),
    Rule("nul-character", "SBX004", "NUL ends the text for some readers and not for others."),
    Rule("not-unicode", "SBX005", "A lone surrogate: the text has no UTF-8 form."),
    Rule("source-too-complex", "SBX006", "Python's own parser gives up on it."),
    Rule("too-many-nodes", "SBX007", "More syntax nodes than the policy's budget."),
    Rule("too-deeply-nested", "SBX008", "Syntax nested deeper than the policy's budget."),
    Rule("bidi-control", "SBX010", "Bidirectional controls show another order than the one that runs."),
    Rule("zero-width-character", "SBX011", "Characters that no one sees."),
    Rule("control-character", "SBX012", "Control characters and line separators that editors hide."),
    Rule("identifier-changes", "SBX013", "Python reads this name as another one (NFKC)."),
    Rule("syntax-not-allowed", "SBX101", "A kind of syntax that the policy does not list."),
    Rule("restrict-refused", "SBX110", "A construct that the restricting compiler refuses."),
    Rule("reserved-name", "SBX201", "A name that belongs to Python or to the sandbox."),
    Rule("attribute-not-allowed", "SBX202", "A dunder attribute or method that the policy does not list."),
    Rule("attribute-denied", "SBX203", "An attribute that leads out of the program."),
    Rule("exception-object", "SBX204", "AttributeError.obj hands out the object behind an error."),
    Rule("format-traversal", "SBX205", "A format string that reaches a denied attribute."),
    Rule("dynamic-format", "SBX206", "str.format on a template that is no constant."),
    Rule("import-not-allowed", "SBX301", "A module that the policy does not list."),
    Rule("import-star", "SBX302", "import * hides which names come in."),
    Rule("relative-import", "SBX303", "A snippet is in no package."),
    Rule("member-not-allowed", "SBX304", "A module's member that the policy does not list."),
    Rule("borrowed-module", "SBX305", "A module reached through another one that imports it."),
    Rule("module-as-value", "SBX306", "A module passed around as a value."),
    Rule("module-renamed", "SBX307", "A module of which only members are allowed, under another name."),
    Rule("module-changed", "SBX308", "Assigning to a module's member changes it for everything else."),
    Rule("private-member", "SBX309", "A module's private member."),
    Rule(
        "native-module",
        "SBX310",
        "A module that the restricting layer cannot guard: native, or without a facade.",
    ),
    Rule("builtin-not-allowed", "SBX401", "A builtin that the policy denies."),
    Rule("dynamic-attribute", "SBX402", "An attribute whose name is computed."),
    Rule("dynamic-class", "SBX403", "A class made by calling type()."),
    Rule("metaclass-not-allowed", "SBX404", "A metaclass that is no class."),
    Rule("path-outside-sandbox", "SBX405", "A path that no sandbox has."),
    Rule("unsafe-argument", "SBX406", "An argument that lets data run as code."),
    Rule("integer-too-large", "SBX501", "An integer literal over the budget."),
    Rule("power-too-large", "SBX502", "A constant power over the budget."),
    Rule("shift-too-large", "SBX503", "A constant shift over the budget."),
    Rule("repeat-too-large", "SBX504", "A constant repetition over the budget."),
    Rule("range-too-large", "SBX505", "A loop over a constant range over the budget."),
    Rule("string-too-large", "SBX506", "A string literal over the budget."),
    Rule("tool-unknown", "SBX601", "A tool that the session does not have."),
    Rule("tool-arguments", "SBX602", "A tool's call that does not fit its signature."),
    Rule("tool-not-for-code", "SBX603", "A tool that is for a model's direct calls only."),
    Rule("tool-not-awaited", "SBX604", "An asynchronous tool's call whose result nobody awaits."),
    Rule("screen-failed", "SBX901", "The screener process died or did not answer in time; nothing was run."),
    Rule(
        "restrict-unavailable",
        "SBX902",
        "The policy restricts, and its interpreter has no restricting compiler.",
    ),
)

RULES = {rule.name: rule for rule in _ALL}
BY_ID = {rule.rule_id: rule for rule in _ALL}
