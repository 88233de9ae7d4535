"""Verdicts as a SARIF 2.1.0 log: what code-scanning services and editors read.

One run for all files. A rule appears once in the tool's rules, with its page as help. A text that does not parse, or could
not be screened, is no result but a notification of the invocation: nothing was judged there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandboxd_client.results import Finding, Verdict

    from sandboxd.screen.pages import Page

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_NOT_JUDGED = frozenset({"syntax-error", "screen-failed"})
# What an action means to a reader who only knows SARIF: a warning runs, and what is routed runs elsewhere.
_LEVELS = {"deny": "error", "route": "warning", "warn": "warning", "audit": "note"}
# Code scanning sorts by this number, in the bands of CVSS (high from 7.0, medium from 4.0). Names, attributes and calls
# stand where the advisories that their pages cite do (8.3, GHSA-ffg3-p8fm-mjx2); resources and text are medium.
_SEVERITY = {"SBX2": "8.3", "SBX3": "7.5", "SBX4": "8.3"}
_MEDIUM = "5.3"
_MAX_SNIPPET = 500
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Checked:
    """One file, its text and the verdict on it."""

    name: str
    code: str
    verdict: Verdict

    @property
    def lines(self) -> list[str]:
        """The lines as the tokenizer counts them."""
        return _LINE_ENDS.split(self.code)


def sarif_log(checked: Sequence[Checked], *, version: str, exit_code: int) -> dict[str, Any]:
    """Return the log.

    Args:
        checked: the files, all under one policy.
        version: of this tool.
        exit_code: what the command ends with.
    """
    ids = {one.rule: one.rule_id for file in checked for one in file.verdict.findings}
    names = sorted(ids, key=lambda name: ids[name])
    index = {name: number for number, name in enumerate(names)}
    failed = any(one.rule == "screen-failed" for file in checked for one in file.verdict.findings)
    invocation = {
        "executionSuccessful": not failed,
        "exitCode": exit_code,
        "toolExecutionNotifications": list(_notifications(checked, index)),
    }
    verdict = checked[0].verdict
    run = {
        "tool": {
            "driver": {
                "name": "sandboxd",
                "version": version,
                "rules": [_rule(name, ids[name]) for name in names],
            }
        },
        "automationDetails": {"id": f"sandboxd/{quote(verdict.policy)}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "artifacts": [_artifact(file) for file in checked],
        "results": list(_results(checked, index)),
        "properties": {
            "policy": verdict.policy,
            "policyDigest": verdict.policy_digest,
            "python": verdict.python_version,
        },
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _page(name: str) -> Page | None:
    from sandboxd.screen.engine.catalogue import RULES  # noqa: PLC0415  # only this format needs the pages
    from sandboxd.screen.pages import page_of  # noqa: PLC0415

    # A newer daemon may know rules that this command does not.
    return page_of(name) if name in RULES else None


def _rule(name: str, rule_id: str) -> dict[str, Any]:
    page = _page(name)
    if page is None:
        return {"id": rule_id, "name": name}
    return {
        "id": rule_id,
        "name": name,
        "shortDescription": {"text": page.rule.summary},
        "fullDescription": {"text": " ".join(page.sections["Why"].split())},
        "help": {"text": page.markdown, "markdown": page.markdown},
        "helpUri": f"urn:sandboxd:rule:{rule_id}",
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "tags": ["security", *(f"external/cwe/cwe-{number}" for number in page.cwes)],
            "precision": "high",
            "security-severity": _SEVERITY.get(rule_id[:4], _MEDIUM),
        },
    }


def _artifact(file: Checked) -> dict[str, Any]:
    return {
        "location": {"uri": _uri(file)},
        "length": len(file.code.encode("utf-8", "surrogatepass")),
        "hashes": {"sha-256": file.verdict.source_sha256},
        "sourceLanguage": "python",
    }


def _uri(file: Checked) -> str:
    if file.name == "-":
        return f"snippet:///{file.verdict.source_sha256}.py"
    path = PurePath(file.name)
    # As bytes: a file's name need not be UTF-8.
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))


def _results(checked: Sequence[Checked], index: dict[str, int]) -> Iterable[dict[str, Any]]:
    for number, file in enumerate(checked):
        lines = file.lines
        seen: Counter[str] = Counter()
        for finding in file.verdict.findings:
            if finding.rule in _NOT_JUDGED:
                continue
            print_ = _fingerprint(finding, lines)
            seen[print_] += 1
            yield {
                "ruleId": finding.rule_id,
                "ruleIndex": index[finding.rule],
                # Never "review": that kind must have level "none" (section 3.27.10), which no service shows.
                "kind": "fail",
                "level": _LEVELS.get(finding.action, "error"),
                "message": {"text": f"{finding.message}. {finding.hint}".strip()},
                "locations": [_location(file, number, finding, lines)],
                "partialFingerprints": {"sandboxdFinding/v1": f"{print_}:{seen[print_]}"},
                "properties": {
                    "action": finding.action,
                    "symbol": finding.symbol,
                    "hint": finding.hint,
                    "minTier": file.verdict.min_tier,
                    "routeTo": file.verdict.route_to,
                    "policyDigest": file.verdict.policy_digest,
                },
            }


def _fingerprint(finding: Finding, lines: list[str]) -> str:
    """Name a finding by rule, symbol and the text of its line: the same after lines above it came or went."""
    text = lines[finding.line - 1] if 0 < finding.line <= len(lines) else ""
    content = "\0".join((finding.rule_id, finding.symbol, " ".join(text.split())))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _location(file: Checked, number: int, finding: Finding, lines: list[str]) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(file), "index": number}}
    if finding.line > 0:
        region = {"startLine": finding.line, "startColumn": max(finding.column, 1)}
        if (finding.end_line, finding.end_column) > (finding.line, finding.column):
            region |= {"endLine": finding.end_line, "endColumn": finding.end_column}
        text = "\n".join(lines[finding.line - 1 : max(finding.end_line, finding.line)])[:_MAX_SNIPPET]
        physical["region"] = {**region, "snippet": {"text": text}}
    return {"physicalLocation": physical}


def _notifications(checked: Sequence[Checked], index: dict[str, int]) -> Iterable[dict[str, Any]]:
    for number, file in enumerate(checked):
        for finding in file.verdict.findings:
            if finding.rule in _NOT_JUDGED:
                yield {
                    "level": "error",
                    "message": {"text": f"{finding.symbol}: {finding.message}".removeprefix(": ")},
                    "locations": [_location(file, number, finding, file.lines)],
                    "associatedRule": {"id": finding.rule_id, "index": index[finding.rule]},
                }
