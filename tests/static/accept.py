"""How much of the standard library's own Python each static layer takes, and why it refuses the rest.

    python -m tests.static.accept            print the tables
    python -m tests.static.accept --write    write them to ACCEPT.md

The library is code that nobody wrote for a sandbox: it imports what a policy must not allow, and reaches into the interpreter.
The rates say what the *language* costs; the import rules, whose refusals are the point of a policy, are counted apart.
"""

from __future__ import annotations

import argparse
import ast
import platform
import sys
import sysconfig
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sandboxd.policy import PolicySet
from sandboxd.restrict import compile_program
from sandboxd.screen.engine.analysis import analyse
from sandboxd.screen.engine.findings import Findings
from sandboxd.screen.engine.rules import Rules
from sandboxd.screen.engine.text import check_text

REPORT = Path(__file__).with_name("ACCEPT.md")
MAX_BYTES = 65536  # the budget of policy `default`; larger files are refused for their size alone
_LEFT_OUT = {
    "test",
    "tests",
    "site-packages",
    "idlelib",
    "lib2to3",
    "turtledemo",
    "ensurepip",
    "__pycache__",
    "pydoc_data",
}
# What a module imports or reaches in a module is for a policy to say; the rest of the rules are about the language.
_IMPORTS = {
    "import-not-allowed", "member-not-allowed", "borrowed-module", "module-as-value", "module-renamed", "module-changed", "relative-import",
    "private-member", "native-module", "import-star", "path-outside-sandbox",
}  # fmt: skip
_TOP = 18


@dataclass(slots=True)
class Tally:
    """One layer's result over all files: how many it takes, and in how many each reason occurs, or occurs alone."""

    files: int = 0
    taken: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)

    def add(self, reasons: set[str]) -> None:
        self.files += 1
        self.taken += not reasons
        self.reasons.update(reasons)
        if len(reasons) == 1:
            self.alone.update(reasons)

    @property
    def rate(self) -> str:
        return f"{self.taken} of {self.files} ({self.taken / self.files:.1%})"


def sources() -> list[tuple[Path, str]]:
    """Return the library's files that are small enough, of no test, and in UTF-8."""
    top = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for path in sorted(top.rglob("*.py")):
        if _LEFT_OUT & set(path.relative_to(top).parts) or path.stat().st_size > MAX_BYTES:
            continue
        try:
            text = path.read_text(encoding="utf-8")
            ast.parse(text)
        except (UnicodeDecodeError, SyntaxError):
            continue
        if text.strip():
            found.append((path, text))
    return found


def screened(text: str, rules: Rules) -> list[tuple[str, str]]:
    """Return (rule, symbol) of what denies a text."""
    found = Findings(text)
    check_text(text, rules.budgets, rules.text, found)
    findings = found.worst()[0] or analyse(text, rules)["findings"]
    return [(one["rule"], one["symbol"]) for one in findings if one["severity"] == "error"]


def transformed(text: str) -> list[str]:
    """Return the messages of what the transformer refuses."""
    return [
        f"{rule}: {_short(message)}" for rule, message, *_ in compile_program(text, ast.parse(text)).refusals
    ]


def _short(message: str) -> str:
    return message.replace(" is not available in restricted code", "").replace("|", "\\|")[:70]


def measure() -> dict[str, Tally]:
    """Run every file through both layers."""
    policies = PolicySet.load(None, default="default", allow_unscreened=True)
    tallies: dict[str, Tally] = {}
    for name in ("default", "pure"):
        rules = Rules(policies.get(name).screen.as_json() | {"restricted": False})
        every = tallies[f"screen, {name}"] = Tally()
        language = tallies[f"screen, {name}, import rules aside"] = Tally()
        for _, text in sources():
            found = screened(text, rules)
            every.add({rule for rule, _ in found})
            language.add({f"{rule}: {symbol}"[:70] for rule, symbol in found if rule not in _IMPORTS})
    transformer = tallies["transformer"] = Tally()
    language = tallies["transformer, import rules aside"] = Tally()
    for _, text in sources():
        reasons = set(transformed(text))
        transformer.add(reasons)
        language.add({one for one in reasons if one.partition(":")[0] not in _IMPORTS})
    return tallies


def report(tallies: dict[str, Tally]) -> str:
    """Return the report as Markdown."""
    lines = [
        "# Accept-rate over the standard library",
        "",
        f"CPython {platform.python_version()}, {next(iter(tallies.values())).files} files below {MAX_BYTES >> 10} KiB without tests; each layer alone.",
        "Written by `python -m tests.static.accept --write`.",
        "",
        "| layer | takes |",
        "|---|---|",
        *(f"| {name} | {tally.rate} |" for name, tally in tallies.items()),
    ]
    for name, tally in tallies.items():
        lines += ["", f"## {name}: reasons", "", "| reason | files | the only reason in |", "|---|---|---|"]
        lines += [
            f"| {reason} | {count} | {tally.alone[reason]} |"
            for reason, count in tally.reasons.most_common(_TOP)
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, then print or write."""
    parser = argparse.ArgumentParser(prog="python -m tests.static.accept", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write ACCEPT.md instead of printing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    text = report(measure())
    if options.write:
        REPORT.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
