"""The manifest of an environment: written once, read strictly.

It decides what a jail binds and what a zygote imports, so a manifest with an unknown key, a wrong type or a
foreign name is refused, never repaired.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sandboxd.environments.interpreter import inspect_interpreter
from sandboxd.environments.model import Environment, is_module_name
from sandboxd.errors import Code, SandboxdError

MANIFEST = "environment.json"
SITE_PACKAGES = "site-packages"
MATPLOTLIB_CACHE = "cache/matplotlib"
_FORMAT = 1
_MAX_BYTES = 1 << 20
_KEYS = frozenset({"format", "name", "python", "version", "packages", "preload"})


def write_manifest(directory: Path, environment: Environment) -> None:
    """Write what `read_manifest` needs; without paths inside the environment, which is yet to be renamed."""
    document = {
        "format": _FORMAT,
        "name": environment.name,
        "python": environment.python,
        "version": environment.version,
        "packages": list(environment.packages),
        "preload": list(environment.preload),
    }
    path = directory / MANIFEST
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    path.chmod(0o644)


def read_manifest(directory: Path) -> Environment:
    """Read the environment in `directory`.

    Raises:
        SandboxdError: ENVIRONMENT_FAILED when the manifest is not exactly right or the interpreter changed.
    """
    try:
        document = _parse(directory / MANIFEST)
        _check(document, directory.name)
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(directory.name, f"its manifest is unusable: {error}") from error
    interpreter = inspect_interpreter(document["python"])
    if interpreter.version != document["version"]:
        reason = (
            f"it was made for Python {document['version']}, {document['python']} is {interpreter.version} now"
        )
        raise _broken(directory.name, reason)
    cache = directory / MATPLOTLIB_CACHE
    return Environment(
        name=directory.name,
        python=interpreter.python,
        base_prefix=interpreter.base_prefix,
        version=interpreter.version,
        site_packages=os.path.realpath(directory / SITE_PACKAGES),
        packages=tuple(document["packages"]),
        preload=tuple(document["preload"]),
        stdlib=interpreter.stdlib,
        matplotlib_cache=os.path.realpath(cache) if cache.is_dir() else None,
    )


def _parse(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ValueError("too large")
    document = json.loads(raw, object_pairs_hook=_no_duplicates)
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004  # one kind of error for one kind of fault
    return document


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _check(document: dict[str, Any], name: str) -> None:
    if set(document) != _KEYS:
        raise ValueError(f"its keys must be {', '.join(sorted(_KEYS))}")
    if document["format"] != _FORMAT or isinstance(document["format"], bool):
        raise ValueError(f"its format is not {_FORMAT}")
    if document["name"] != name:
        raise ValueError("it names another environment")
    if not isinstance(document["python"], str) or not Path(document["python"]).is_absolute():
        raise ValueError("python must be an absolute path")
    if not isinstance(document["version"], str):
        raise ValueError("version must be a string")  # noqa: TRY004
    for key in ("packages", "preload"):
        if not isinstance(document[key], list) or not all(isinstance(item, str) for item in document[key]):
            raise ValueError(f"{key} must be a list of strings")
    if not all(is_module_name(module) for module in document["preload"]):
        raise ValueError("preload must hold module names")


def _broken(name: str, reason: str) -> SandboxdError:
    return SandboxdError(
        Code.ENVIRONMENT_FAILED,
        f"Environment {name} cannot be used: {reason}.",
        remedy=f"Make it anew: `sandboxd env remove {name}`, then `sandboxd env create {name}`.",
        environment=name,
    )
