"""`sandboxd doctor`: what this host can enforce."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sandboxd.cli import output
from sandboxd.cli.exit_codes import Exit
from sandboxd.doctor import Check, Status, run_checks

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    checks = run_checks()
    if arguments.json:
        output.emit_json([asdict(check) for check in checks])
    else:
        output.table(("check", "status", "detail"), ((c.name, c.status, c.detail) for c in checks))
        _remedies(checks)
    return Exit.FAILED if any(check.status is Status.FAILED for check in checks) else Exit.OK


def _remedies(checks: list[Check]) -> None:
    told: set[str] = set()
    for check in checks:
        if check.remedy and check.remedy not in told:
            told.add(check.remedy)
            output.line(f"\n{check.name}:", style="bold")
            output.write(check.remedy + "\n")
