"""`sandboxd run`: one program in one sandbox, its output as it comes."""

from __future__ import annotations

import argparse
import base64
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sandboxd.cli import output
from sandboxd.cli.connection import add_connection
from sandboxd.cli.exit_codes import Exit
from sandboxd.cli.source import read_program
from sandboxd.cli.verdict import finding_lines

if TYPE_CHECKING:
    from sandboxd_client.results import Execution

_EXITS = {
    "ok": Exit.OK,
    "error": Exit.FAILED,
    "crashed": Exit.FAILED,
    "denied": Exit.DENIED,
    "timeout_wall": Exit.LIMIT,
    "timeout_cpu": Exit.LIMIT,
    "oom": Exit.LIMIT,
    "output_limit": Exit.LIMIT,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="the program, or - for standard input")
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="less than the policy's wall limit"
    )
    parser.add_argument(
        "--json", action="store_true", help="print everything as one JSON document at the end"
    )
    parser.add_argument(
        "--no-routing",
        action="store_true",
        help="stay under the policy: deny what it would send to another one",
    )
    add_connection(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    code = read_program(arguments.file)
    from sandboxd_client import OneShot  # noqa: PLC0415  # grpc: only where a daemon is asked

    one_shot = OneShot(arguments.policy, arguments.address, routing=not arguments.no_routing)
    if arguments.json:
        execution = one_shot.run(code, timeout=arguments.timeout)
    else:
        execution = one_shot.run(
            code,
            timeout=arguments.timeout,
            on_stdout=output.write,
            on_stderr=lambda text: output.write(text, sys.stderr),
        )
    if arguments.json:
        output.emit_json(_jsonable(asdict(execution)))
    else:
        _tell(execution, arguments.file)
    return _EXITS.get(execution.outcome, Exit.REFUSED)


def _tell(execution: Execution, name: str) -> None:
    if execution.text is not None:
        output.line(execution.text)
    if execution.final_answer is not None:
        output.line(f"final answer: {execution.final_answer.text}", style="bold")
    if execution.error is not None:
        output.note(execution.error.traceback.rstrip())
    if execution.verdict is not None and not execution.verdict.allowed:
        for text in finding_lines(execution.verdict, name):
            output.note(text)
    if execution.routing is not None:
        for text in finding_lines(execution.routing, name):
            output.note(text)
        output.note(
            f"sandboxd: policy {execution.routing.policy} routed it to policy {execution.routing.route_to}"
        )
    if execution.outcome not in {"ok", "error"}:
        evidence = " ".join(part for part in (execution.evidence.code, execution.evidence.detail) if part)
        output.note(f"sandboxd: {execution.outcome}" + (f": {evidence}" if evidence else ""))


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("expected seconds above 0")
    return value


def _jsonable(value: Any) -> Any:
    """Turn bytes into base64; a display's mime type says which they are."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value
