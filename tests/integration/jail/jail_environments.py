"""An environment with numpy, made of the packages of this test run: no pip, no network."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np

from sandboxd.environments import load_environments
from sandboxd.environments.manifest import write_manifest
from sandboxd.environments.model import Environment

NAME = "numbers"
# What a library does that keeps generators of its own; the last two were seeded on purpose.
EARLY = """
import random
import numpy

drawn = numpy.random.default_rng()
chosen = numpy.random.default_rng(7)
plain = random.Random(7)
"""


@contextlib.contextmanager
def environments(*, numpy: bool = False) -> Iterator[Path]:
    """Yield a directory of environments with this one. Not below /tmp: a box has its own."""
    root = Path(tempfile.mkdtemp(prefix="sandboxd-test-", dir="/var/tmp"))
    try:
        site = root / NAME / "site-packages"
        site.mkdir(parents=True)
        early_module(root).write_text(EARLY if numpy else "")
        if numpy:
            _copy_numpy(site)
        _write_manifest(root, ("numpy", "early") if numpy else ("early",))
        yield root
    finally:
        shutil.rmtree(root)


def early_module(root: Path) -> Path:
    """Return the preloaded module, so that a test can break it."""
    return root / NAME / "site-packages" / "early.py"


def _copy_numpy(site: Path) -> None:
    installed = Path(np.__file__).parent
    for package in (installed, installed.with_name("numpy.libs")):
        if package.is_dir():
            left_out = shutil.ignore_patterns("tests", "__pycache__")
            shutil.copytree(package, site / package.name, ignore=left_out, symlinks=True)


def _write_manifest(root: Path, preload: tuple[str, ...]) -> None:
    base = load_environments(root / "none")["base"]
    environment = Environment(
        name=NAME,
        python=base.python,
        base_prefix=base.base_prefix,
        version=base.version,
        packages=(f"numpy=={metadata.version('numpy')}",),
        preload=preload,
    )
    write_manifest(root / NAME, environment)
