"""`sandboxd env`: the environments that policies name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sandboxd.cli import output
from sandboxd.cli.exit_codes import Exit
from sandboxd.cli.progress import Progress
from sandboxd.config import load, parse_arguments
from sandboxd.environments import create_environment, load_environments, remove_environment

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="install packages into a new environment", allow_abbrev=False)
    create.add_argument("name", metavar="NAME", help="data-science needs no -r: its list ships with sandboxd")
    create.add_argument(
        "-r",
        "--requirements",
        type=Path,
        metavar="FILE",
        help="a pip requirements file; only wheels are installed",
    )
    create.add_argument("--if-missing", action="store_true", help="succeed when it exists already")
    create.set_defaults(run=_create)
    listing = actions.add_parser("list", help="list them with their packages", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    listing.set_defaults(run=_list)
    remove = actions.add_parser(
        "remove", help="remove one; sandboxes in it lose their packages", allow_abbrev=False
    )
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)
    for child in (create, listing, remove):
        child.add_argument(
            "--environments-dir",
            metavar="DIR",
            help="where they are kept (default: the daemon's setting of that name)",
        )


def environments_dir(arguments: argparse.Namespace) -> Path:
    """Find the directory as the daemon would: flag, environment variable, file, default."""
    flags = (
        ["--environments-dir", str(Path(arguments.environments_dir).absolute())]
        if arguments.environments_dir
        else []
    )
    config, _ = load(parse_arguments(flags), os.environ)
    return config.environments_dir


def _create(arguments: argparse.Namespace) -> int:
    root = environments_dir(arguments)
    if arguments.if_missing and arguments.name in load_environments(root):
        return Exit.OK
    with Progress() as progress:
        made = create_environment(root, arguments.name, arguments.requirements, progress=progress)
    output.line(f"{made.name}: Python {made.version}, {len(made.packages)} packages")
    return Exit.OK


def _list(arguments: argparse.Namespace) -> int:
    found = load_environments(environments_dir(arguments)).values()
    if arguments.json:
        output.emit_json(
            [
                {
                    "name": e.name,
                    "python": e.python,
                    "version": e.version,
                    "packages": e.packages,
                    "preload": e.preload,
                }
                for e in found
            ]
        )
    else:
        output.table(
            ("name", "python", "packages"),
            ((e.name, e.version, ", ".join(e.packages) or "standard library") for e in found),
        )
    return Exit.OK


def _remove(arguments: argparse.Namespace) -> int:
    remove_environment(environments_dir(arguments), arguments.name)
    return Exit.OK
