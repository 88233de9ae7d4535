"""What a policy may make of each of the screen's rules.

A policy stands below the screen and cannot ask it for its rules, so their names stand here a second time;
`tests/unit/policy/test_policy_actions.py` fails where this differs from the screen's own catalogue.
"""

from __future__ import annotations

import difflib

ALWAYS_DENIED = frozenset(
    {
        "syntax-error",  # no program in any policy: there is nothing to run
        "nul-character",  # these two have no one reading: what was screened would not be what runs
        "not-unicode",
        "source-too-complex",  # Python's parser gave up, and every policy has the same one
        "reserved-name",  # a snippet that rebinds a guard's name switches the guard off
        "screen-failed",  # nothing is known about the source
    }
)
"""Rules that no policy softens."""

NEVER_RUN_HERE = frozenset(
    {
        # The analysis ends where it finds one of these. With "warn" the rest of the source would run unseen.
        "source-too-large",
        "too-many-nodes",
        "too-deeply-nested",
        # Layer 2 has no program for these: a construct it cannot guard, a Python it does not know, native code.
        "restrict-refused",
        "restrict-unavailable",
        "native-module",
    }
)
"""Rules whose snippet may move to another policy, which screens it again, but never run under this one."""

KEYED = {
    "bidi-control": "text.bidi",
    "zero-width-character": "text.zero_width",
    "control-character": "text.control",
    "identifier-changes": "text.nfkc",
    "import-star": "imports.star",
    "dynamic-attribute": "attributes.dynamic",
    "dynamic-format": "attributes.format",
}
"""Rules that have a key of their own below `screen`: one fact has one place."""

FREE = frozenset(
    {
        "line-too-long",
        "syntax-not-allowed",
        "attribute-not-allowed",
        "attribute-denied",
        "exception-object",
        "format-traversal",
        "import-not-allowed",
        "relative-import",
        "member-not-allowed",
        "borrowed-module",
        "module-as-value",
        "module-renamed",
        "module-changed",
        "private-member",
        "builtin-not-allowed",
        "unsafe-argument",
        "dynamic-class",
        "metaclass-not-allowed",
        "path-outside-sandbox",
        "integer-too-large",
        "power-too-large",
        "shift-too-large",
        "repeat-too-large",
        "range-too-large",
        "string-too-large",
        "tool-unknown",
        "tool-arguments",
        "tool-not-for-code",
        "tool-not-awaited",
    }
)
"""Rules that may get any action."""

SETTABLE = FREE | NEVER_RUN_HERE
"""What `screen.actions` may name, to some effect."""


def refusal(rule: str, action: str) -> tuple[str, str] | None:
    """Tell why a rule cannot have an action: what is wrong and what to do; None where it can."""
    if rule in FREE or (rule in NEVER_RUN_HERE and action in {"deny", "route"}):
        return None
    if rule in NEVER_RUN_HERE:
        return "what breaks this rule never runs under the same policy", "Write deny or route."
    if rule in ALWAYS_DENIED:
        return "this rule is always denied", "Remove the line."
    if rule in KEYED:
        return "this rule has a key of its own", f"Set screen.{KEYED[rule]}."
    near = difflib.get_close_matches(rule, SETTABLE | KEYED.keys(), n=3)
    known = f"Do you mean {' or '.join(near)}?" if near else f"Rules: {', '.join(sorted(SETTABLE))}."
    return "there is no such rule", known
