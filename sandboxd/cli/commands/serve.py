"""`sandboxd serve`: hand over to the server, whose settings are its flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd.cli.exit_codes import EXPLAINED

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Say only where the flags are documented."""
    parser.epilog = f"`sandboxd serve --help` lists every setting. {EXPLAINED}"


def serve(arguments: list[str]) -> int:
    """Run the daemon until it is told to stop."""
    from sandboxd.server import main  # noqa: PLC0415  # grpc and pydantic, which no other command needs

    return main(arguments)
