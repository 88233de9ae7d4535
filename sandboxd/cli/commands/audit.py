"""`sandboxd audit verify`: check the hash chain of the log."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sandboxd.cli import output
from sandboxd.cli.exit_codes import Exit
from sandboxd.config import load, parse_arguments
from sandboxd.log.verify import VerifyReport, verify

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    child = actions.add_parser(
        "verify", help="check the log's hash chain from end to end", allow_abbrev=False
    )
    child.add_argument(
        "directory",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="the log (default: that of the daemon's state directory)",
    )
    child.add_argument("--json", action="store_true", help="print the report as JSON")
    child.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    directory = arguments.directory or _log_directory()
    report = verify(directory)
    if arguments.json:
        output.emit_json({"ok": report.ok, **asdict(report)})
    else:
        _tell(directory, report)
    return Exit.OK if report.ok else Exit.FAILED


def _log_directory() -> Path:
    config, _ = load(parse_arguments([]), os.environ)
    return config.state_dir / "log"


def _tell(directory: Path, report: VerifyReport) -> None:
    if report.broken is not None:
        where = f"{report.broken.file}, line {report.broken.line}"
        output.line(f"{directory}: broken at {where}: {report.broken.reason}", style="bold red")
        output.line(f"{report.records} records before it are intact")
        return
    output.line(f"{directory}: intact, {report.records} records in {report.segments} segments", style="green")
    if report.records:
        output.line(f"records {report.first_seq} to {report.last_seq}, last hash {report.last_hash}")
    if report.torn_bytes:
        output.line(
            f"{report.torn_bytes} bytes of an unfinished record at the end: being written, or torn by a crash"
        )
