"""`sandboxd check`: the screen's verdict on a program that is not run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sandboxd.cli import output
from sandboxd.cli.connection import add_connection
from sandboxd.cli.exit_codes import Exit
from sandboxd.cli.source import read_program
from sandboxd.cli.verdict import show_verdict

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="the program, or - for standard input")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    add_connection(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    code = read_program(arguments.file)
    from sandboxd_client import Sandbox  # noqa: PLC0415  # grpc: only where a daemon is asked

    with Sandbox(policy=arguments.policy, address=arguments.address) as sandbox:
        verdict = sandbox.check(code)
    if arguments.json:
        output.emit_json(asdict(verdict))
    else:
        show_verdict(verdict, arguments.file)
    return Exit.OK if verdict.allowed else Exit.DENIED
