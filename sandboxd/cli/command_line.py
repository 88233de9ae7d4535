"""Parsing the command line and telling every failure in one form."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import sandboxd
from sandboxd.cli import output
from sandboxd.cli.exit_codes import EXPLAINED, Exit
from sandboxd.errors import Code, SandboxdError, StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "serve": "run the daemon",
    "run": "run a program in a sandbox",
    "check": "ask the policy about a program without running it",
    "explain": "tell what a rule of the screen refuses, and what to write instead",
    "agent": "let a model answer a question with sandboxed code",
    "env": "create, list and remove environments",
    "image": "build, list, inspect and remove images for containers",
    "doctor": "tell what this host can enforce, and how to get the rest",
    "audit": "verify the log",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return int(_dispatch(arguments))
    except KeyboardInterrupt:
        output.note("sandboxd: interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader went away, as `| head` does. Python would complain again when it flushes stdout at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:  # noqa: BLE001  # the last line of defence against a traceback on a user's screen
        return _tell(error)


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Build the parser; only the named command's module is imported, so that help stays fast."""
    parser = argparse.ArgumentParser(
        prog="sandboxd",
        description="Run code that a language model wrote, under a policy that a security team owns.",
        epilog=EXPLAINED,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sandboxd {sandboxd.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        child = commands.add_parser(
            name, help=summary, description=summary, epilog=EXPLAINED, allow_abbrev=False
        )
        if name == command:
            _module(name).configure(child)
    return parser


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments and arguments[0] in COMMANDS else None
    if command == "serve":
        # Its flags are the table of settings, which the server parses itself.
        return int(_module("serve").serve(arguments[1:]))
    parsed = build_parser(command).parse_args(arguments)
    return int(parsed.run(parsed))


def _module(command: str) -> Any:
    return importlib.import_module(f"sandboxd.cli.commands.{command}")


def _tell(error: Exception) -> int:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # a task group wraps even a single failure
    code = getattr(error, "code", None)
    message = getattr(error, "message", None)
    if isinstance(code, str) and isinstance(message, str):
        output.error(str(code), message, str(getattr(error, "remedy", "")))
        return _exit_code(error, code)
    if isinstance(error, ModuleNotFoundError):
        output.error(
            "NOT_INSTALLED",
            f"This command needs {error.name}.",
            "pip install 'sandboxd[daemon,agent]' brings all.",
        )
        return Exit.REFUSED
    if isinstance(error, OSError):
        output.error("FILE_FAILED", f"{error.filename or type(error).__name__}: {error.strerror or error}.")
        return Exit.REFUSED
    output.error(Code.INTERNAL, f"{type(error).__name__}: {error}", "This is a bug: please report it.")
    return Exit.REFUSED


def _exit_code(error: Exception, code: str) -> int:
    # The client's classes are told by name: importing them would load grpc into every command.
    if isinstance(error, StartError) or type(error).__name__ == "DaemonStartError":
        return Exit.CANNOT_START
    if isinstance(error, SandboxdError) and code == Code.INVALID_REQUEST:
        return Exit.USAGE
    return Exit.REFUSED
