"""`sandboxd agent`: a model answers a question with code that runs in a sandbox."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sandboxd.cli import output
from sandboxd.cli.connection import add_connection
from sandboxd.cli.exit_codes import Exit
from sandboxd.errors import Code, SandboxdError

if TYPE_CHECKING:
    import argparse

    from sandboxd_client.agent.result import AgentResult

_BASE_URL = "SANDBOXD_MODEL_BASE_URL"
_EXITS = {"answered": Exit.OK, "model_error": Exit.REFUSED, "sandbox_error": Exit.REFUSED}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("task", metavar="TASK", help="the question, in words")
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        type=Path,
        metavar="F",
        help="put this file into /work (repeatable)",
    )
    parser.add_argument("--model", required=True, metavar="M", help="the name the server knows the model by")
    parser.add_argument(
        "--base-url",
        default=os.environ.get(_BASE_URL, ""),
        metavar="URL",
        help=f"a chat completions endpoint, such as http://localhost:8080/v1 (default: ${_BASE_URL}); "
        "the key comes from $SANDBOXD_MODEL_API_KEY alone",
    )
    parser.add_argument(
        "--max-steps", type=int, default=10, metavar="N", help="how often the model is asked at most"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="save the run as run.json there, plots and files beside it"
    )
    parser.add_argument("--json", action="store_true", help="print the run as one JSON document at the end")
    add_connection(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    # Imported here: grpc and httpx are for where a daemon and a model are really asked.
    from sandboxd_client import CodeAgent, OpenAICompatible, Sandbox  # noqa: PLC0415

    from sandboxd.cli.agent_view import show_event  # noqa: PLC0415

    model = OpenAICompatible(arguments.model, arguments.base_url)
    view = None if arguments.json else show_event
    with Sandbox(policy=arguments.policy, address=arguments.address) as sandbox:
        agent = CodeAgent(model, sandbox, max_steps=arguments.max_steps, on_event=view)
        result = agent.run(arguments.task, files=arguments.file)
    if arguments.output is not None:
        _save(result, arguments.output)
    if arguments.json:
        output.emit_json(result.to_json())
    return _EXITS.get(result.outcome, Exit.FAILED)


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.base_url:
        raise SandboxdError(
            Code.INVALID_REQUEST,
            "There is no model server to ask.",
            remedy=f"Name its endpoint with --base-url or ${_BASE_URL}.",
        )
    if arguments.max_steps < 1:
        raise SandboxdError(Code.INVALID_REQUEST, "--max-steps must be 1 or more.")
    for path in arguments.file:
        if not path.is_file():
            raise SandboxdError(Code.INVALID_REQUEST, f"There is no file {path}.", remedy="Check --file.")


def _save(result: AgentResult, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    result.save(directory / "run.json")
    for path in [directory / "run.json", *result.save_artifacts(directory)]:
        output.note(f"saved {path}")
