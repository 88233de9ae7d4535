"""`sandboxd check`: the screen's verdict on programs that are not run."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import sandboxd
from sandboxd.cli import output
from sandboxd.cli.connection import add_connection
from sandboxd.cli.exit_codes import Exit
from sandboxd.cli.sarif import Checked, sarif_log
from sandboxd.cli.source import read_program
from sandboxd.cli.verdict import show_verdict

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_EXITS = (
    "For CI: exit code 0 where `run` would run every program: under the policy, with warnings too, or under one that it "
    "routes to (--strict wants neither warning nor route); 4 where it refuses one, 2 for wrong usage or a file that cannot "
    "be read, 3 and 6 where nothing was checked. "
)
_WORDS = {"allow": "allowed", "warn": "warned", "route": "routed", "deny": "denied"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="a program, or - for standard input")
    parser.add_argument(
        "--format",
        choices=("text", "json", "sarif"),
        default="text",
        help="how to print the findings (default: text)",
    )
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="--format json")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with 4 also for what is only warned about, or routed to another policy",
    )
    add_connection(parser)
    parser.epilog = _EXITS + (parser.epilog or "")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # All are read first: a name that is wrong costs no daemon. "-" twice would read an empty program.
    programs = {name: read_program(name) for name in dict.fromkeys(arguments.files)}
    from sandboxd_client import Sandbox  # noqa: PLC0415  # grpc: only where a daemon is asked

    # Asked under the default policy: to be checked under another one, a program needs none of its environment.
    with Sandbox(address=arguments.address) as sandbox:
        checked = [
            Checked(name, code, sandbox.check(code, arguments.policy)) for name, code in programs.items()
        ]
    code = _exit_code(checked, strict=arguments.strict)
    if arguments.format == "sarif":
        output.emit_json(sarif_log(checked, version=sandboxd.__version__, exit_code=code))
    elif arguments.format == "json":
        output.emit_json(
            {"files": [{"file": one.name, **asdict(one.verdict)} for one in checked], "exit_code": int(code)}
        )
    else:
        for one in checked:
            show_verdict(one.verdict, one.name, one.code)
        _summarise(checked, code)
    return code


def _exit_code(checked: Sequence[Checked], *, strict: bool) -> Exit:
    return Exit.OK if all(_passes(one, strict=strict) for one in checked) else Exit.DENIED


def _passes(checked: Checked, *, strict: bool) -> bool:
    verdict = checked.verdict
    return verdict.decision == "allow" if strict else verdict.allowed or verdict.routable


def _summarise(checked: Sequence[Checked], code: Exit) -> None:
    decisions = Counter(_WORDS.get(one.verdict.decision, str(one.verdict.decision)) for one in checked)
    severities = Counter(finding.severity for one in checked for finding in one.verdict.findings)
    parts = [f"{number} {word}" for word, number in decisions.items()]
    parts += [
        f"{severities[one]} {one}{'s' * (severities[one] > 1)}"
        for one in ("error", "warning", "note")
        if severities[one]
    ]
    number = len(checked)
    what = (
        f"{number} program{'s' * (number > 1)} under policy {checked[0].verdict.policy}: {', '.join(parts)}"
    )
    output.line(what, style="green" if code is Exit.OK else "bold red")
