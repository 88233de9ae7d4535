"""The page of each rule: what it refuses, why, an example that breaks it, the same thing done right.

Pages are package data (`rules/NAME.md`), one form for all: a title, a summary, and sections under fixed headings. Their
examples run in a test. A fence's words after `python` say how an example is meant: `expression` for a Python expression
that makes the source (too large, or with characters that nobody sees), `tools` for a session with `EXAMPLE_TOOLS`, any other
word for the policy it is screened under.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandboxd.events import ToolCallers, ToolSpec
from sandboxd.screen.engine.catalogue import BY_ID, RULES, Rule

_FOLDER = Path(__file__).parent / "rules"
_SECTION = re.compile(r"^## (.+)\n", re.MULTILINE)
_FENCE = re.compile(r"^```python(?P<words>[^\n]*)\n(?P<code>.*?)\n```$", re.MULTILINE | re.DOTALL)
_CWE = re.compile(r"\bCWE-(\d+)\b")
_NEAR = 3
_NOTHING = '{"type": "object", "properties": {}}'
_FETCH = '{"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]}'
_WEATHER = '{"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}, "required": ["city"]}'
_WORDS = frozenset({"expression", "tools"})
EXAMPLE_TOOLS = (
    ToolSpec("weather", "", _WEATHER),
    ToolSpec("fetch", "", _FETCH, is_async=True),
    ToolSpec("delete_all", "", _NOTHING, callers=ToolCallers.DIRECT),
)
"""`weather(city, unit=…)`, `async fetch(url)`, and `delete_all()` for a model's direct calls only."""


class UnknownRuleError(Exception):
    """There is no such rule; `near` holds the names most like it."""

    def __init__(self, asked: str, near: tuple[str, ...]) -> None:
        super().__init__(asked)
        self.near = near


@dataclass(frozen=True, slots=True)
class Example:
    """A fenced example: the text, the policy it is screened under, and whether it is an expression that makes the source."""

    code: str
    policy: str
    is_expression: bool
    has_tools: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One rule's page; `sections` maps a heading to its text."""

    rule: Rule
    markdown: str
    sections: dict[str, str]

    @property
    def bad(self) -> tuple[Example, ...]:
        """Examples that break the rule."""
        return _examples(self.sections.get("Refused", ""))

    @property
    def good(self) -> tuple[Example, ...]:
        """The same things done right."""
        return _examples(self.sections.get("Instead", ""))

    @property
    def cwes(self) -> tuple[str, ...]:
        """The numbers of the weaknesses that the page refers to."""
        return tuple(dict.fromkeys(_CWE.findall(self.sections.get("References", ""))))


def find_rule(asked: str) -> Rule:
    """Return a rule by its name or its id, in any case.

    Raises:
        UnknownRuleError: there is none.
    """
    rule = RULES.get(asked.lower()) or BY_ID.get(asked.upper())
    if rule is None:
        near = difflib.get_close_matches(asked.lower(), RULES, n=_NEAR, cutoff=0.5)
        near += difflib.get_close_matches(asked.upper(), BY_ID, n=_NEAR) if not near else []
        raise UnknownRuleError(asked, tuple(near))
    return rule


@cache
def page_of(name: str) -> Page:
    """Read the page of a rule by its name."""
    rule = RULES[name]
    markdown = (_FOLDER / f"{rule.name}.md").read_text(encoding="utf-8")
    _, *parts = _SECTION.split(markdown)
    sections = {heading: text.strip() for heading, text in zip(parts[::2], parts[1::2], strict=True)}
    return Page(rule, markdown, sections)


def _examples(text: str) -> tuple[Example, ...]:
    found = []
    for fence in _FENCE.finditer(text):
        words = fence["words"].split()
        policies = [word for word in words if word not in _WORDS]
        policy = policies[0] if policies else "default"
        found.append(Example(fence["code"], policy, "expression" in words, "tools" in words))
    return tuple(found)
