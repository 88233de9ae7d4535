"""Creating an environment: pip into a staging directory, then one rename.

Packages come as wheels, so that installing them runs none of their code; a requirements file that wants a
source distribution built says so with its own `--no-binary` line.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandboxd.environments.interpreter import Interpreter, inspect_interpreter
from sandboxd.environments.leashed import Workshop
from sandboxd.environments.manifest import MATPLOTLIB_CACHE, SITE_PACKAGES, read_manifest, write_manifest
from sandboxd.environments.model import BASE, Environment, check_name, is_module_name
from sandboxd.environments.store import Stage, exists_already, publish, staging
from sandboxd.errors import Code, SandboxdError

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = Path(__file__).parent
_PRELOAD = re.compile(r"#\s*preload:\s*(.*)")
_MAX_REQUIREMENTS_BYTES = 1 << 20


def create_environment(
    root: Path,
    name: str,
    requirements: Path | None = None,
    *,
    progress: Callable[[str], None],
) -> Environment:
    """Install `requirements` into a new environment `name` below `root`.

    Args:
        root: the directory of all environments.
        name: the new one's name. One that ships with a list (data-science) needs no `requirements`.
        requirements: a pip requirements file; its line `# preload: a, b.c` names modules to import early.
        progress: takes each line of what goes on.

    Raises:
        SandboxdError: INVALID_REQUEST, ENVIRONMENT_FAILED. Nothing is left behind then.
    """
    source = _requirements(check_name(name), requirements)
    preload = _preload(source)
    if (root / name).exists():
        raise exists_already(name)
    interpreter = inspect_interpreter(sys.executable)
    with staging(root, name) as stage:
        _build(stage, interpreter, source, preload, progress)
        packages = _packages(stage.path / SITE_PACKAGES)
        made = Environment(
            name,
            interpreter.python,
            interpreter.base_prefix,
            interpreter.version,
            packages=packages,
            preload=preload,
        )
        write_manifest(stage.path, made)
        publish(stage, root / name)
    return read_manifest(root / name)


def _build(
    stage: Stage,
    interpreter: Interpreter,
    requirements: Path,
    preload: tuple[str, ...],
    progress: Callable[[str], None],
) -> None:
    shop = Workshop(interpreter.python, stage.lock_fd, progress)
    python = (interpreter.python, "-I", "-S", "-B")
    site = stage.path / SITE_PACKAGES
    cache = stage.path / MATPLOTLIB_CACHE
    installer = stage.path / "installer"
    progress(f"Making an installer with Python {interpreter.version}")
    shop.run((interpreter.python, "-I", "-m", "venv", str(installer)), title=_venv_title())
    progress(f"Installing {requirements}")
    shop.run(
        (*_pip(installer), "--target", str(site), "--requirement", str(requirements)), title="pip install"
    )
    shutil.rmtree(installer)
    _tidy(site)
    # The jail sees these files read-only: what is not compiled now would be compiled again in every sandbox.
    progress("Compiling")
    shop.run((*python, str(_HERE / "settle.py"), "compile", str(site)), title="Compiling the packages")
    progress("Importing " + (", ".join(preload) or "nothing ahead of time"))
    shop.run(
        (*python, str(_HERE / "settle.py"), "import", str(site), str(cache), *preload), title="A first import"
    )


def _venv_title() -> str:
    return "python -m venv (on Debian and Ubuntu it needs the package python3-venv)"


def _pip(installer: Path) -> tuple[str, ...]:
    python = str(installer / "bin" / "python")
    options = (
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--no-compile",
        "--only-binary=:all:",
    )
    return (python, "-I", "-m", "pip", "install", *options)


def _tidy(site: Path) -> None:
    site.mkdir(mode=0o755, exist_ok=True)  # pip makes none for an empty list
    # Their first lines name the installer, which is gone; nothing in a jail has them on its path.
    shutil.rmtree(site / "bin", ignore_errors=True)


def _packages(site: Path) -> tuple[str, ...]:
    found = importlib.metadata.distributions(path=[str(site)])
    return tuple(sorted({f"{item.name}=={item.version}" for item in found}, key=str.lower))


def _requirements(name: str, given: Path | None) -> Path:
    if name == BASE:
        raise SandboxdError(
            Code.INVALID_REQUEST,
            "base is the daemon's own interpreter and exists already.",
            remedy="Choose another name.",
        )
    shipped = _HERE / f"{name}.txt"
    path = given if given is not None else shipped
    if given is None and not shipped.is_file():
        raise SandboxdError(
            Code.INVALID_REQUEST,
            f"No requirements ship with sandboxd for {name}.",
            remedy="Name a requirements file with -r.",
        )
    if not path.is_file():
        raise SandboxdError(
            Code.INVALID_REQUEST,
            f"There is no requirements file {path}.",
            remedy="Name an existing file with -r.",
        )
    return path.absolute()


def _preload(requirements: Path) -> tuple[str, ...]:
    with requirements.open(encoding="utf-8", errors="replace") as file:
        text = file.read(_MAX_REQUIREMENTS_BYTES)
    modules: list[str] = []
    for line in text.splitlines():
        if match := _PRELOAD.fullmatch(line.strip()):
            modules += [word.strip() for word in match[1].split(",") if word.strip()]
    for module in modules:
        if not is_module_name(module):
            raise SandboxdError(
                Code.INVALID_REQUEST,
                f"{requirements} preloads {module[:80]!r}, which is no module name.",
                remedy="Write `# preload: numpy, pandas.io.json`.",
            )
    return tuple(dict.fromkeys(modules))
