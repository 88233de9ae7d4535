"""`sandboxd image`: the images that containers may be made of."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sandboxd.broker.allow_list import image_names, load_image
from sandboxd.cli import output
from sandboxd.cli.exit_codes import Exit
from sandboxd.cli.progress import Progress
from sandboxd.config import Config, load, parse_arguments
from sandboxd.images import Source, build_image, inspect_image, remove_image

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser(
        "build", help="build one, without a registry, and put it on the list", allow_abbrev=False
    )
    build.add_argument("name", metavar="NAME", help="what policies call it, as isolate.environment")
    build.add_argument(
        "-r",
        "--requirements",
        type=Path,
        metavar="FILE",
        help="a pip requirements file; only wheels are installed",
    )
    source = build.add_mutually_exclusive_group()
    source.add_argument(
        "--base", default="", metavar="REF", help="take an image that the engine has; nothing is pulled"
    )
    source.add_argument(
        "--from-rootfs", type=Path, metavar="TAR", help="take a root file system with a Python in it"
    )
    source.add_argument(
        "--debootstrap", default="", metavar="SUITE", help="make a small Debian or Ubuntu (needs root)"
    )
    build.set_defaults(run=_build)
    listing = actions.add_parser("list", help="list them with their digests", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    listing.set_defaults(run=_list)
    inspect = actions.add_parser(
        "inspect", help="show one, and whether the engine still has it, as JSON", allow_abbrev=False
    )
    inspect.add_argument("name", metavar="NAME")
    inspect.set_defaults(run=_inspect)
    remove = actions.add_parser(
        "remove", help="take one off the list, and out of the engine", allow_abbrev=False
    )
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)
    for child in (build, listing, inspect, remove):
        child.add_argument("--images-dir", metavar="DIR", help="the list (default: the daemon's setting)")
        child.add_argument(
            "--engine-socket", metavar="PATH", help="the engine's socket (default: the daemon's setting)"
        )


def _config(arguments: argparse.Namespace) -> Config:
    """Find list and engine as the daemon would: flag, environment variable, file, default."""
    flags: list[str] = []
    for name in ("images_dir", "engine_socket"):
        if given := getattr(arguments, name):
            flags += [f"--{name.replace('_', '-')}", str(Path(given).absolute())]
    return load(parse_arguments(flags), os.environ)[0]


def _build(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    source = Source(base=arguments.base, rootfs=arguments.from_rootfs, suite=arguments.debootstrap)
    with Progress() as progress:
        made = build_image(
            config.images_dir,
            config.engine_socket,
            arguments.name,
            source,
            arguments.requirements,
            progress=progress,
        )
    output.line(f"{made.name}: Python {made.version}, {len(made.packages)} packages, {made.image_id}")
    return Exit.OK


def _list(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    found = [load_image(config.images_dir, name) for name in image_names(config.images_dir)]
    if arguments.json:
        output.emit_json([asdict(image) for image in found])
    else:
        output.table(
            ("name", "python", "digest", "packages"),
            ((i.name, i.version, i.image_id, ", ".join(i.packages) or "standard library") for i in found),
        )
    return Exit.OK


def _inspect(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    image, found = inspect_image(config.images_dir, config.engine_socket, arguments.name)
    size = None if found is None else found.get("Size")
    output.emit_json({**asdict(image), "in_engine": found is not None, "size_bytes": size})
    return Exit.OK if found is not None else Exit.FAILED


def _remove(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    remove_image(config.images_dir, config.engine_socket, arguments.name)
    return Exit.OK
