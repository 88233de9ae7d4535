"""The arguments with which commands reach a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add --policy and --address."""
    parser.add_argument(
        "--policy", default="", metavar="NAME", help="the policy to run under (default: the daemon's)"
    )
    parser.add_argument(
        "--address",
        metavar="unix:PATH",
        help="the daemon (default: $SANDBOXD_ADDRESS; without it a private one is started for this command)",
    )
