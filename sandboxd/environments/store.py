"""The directory of environments: listing, removing, the staging area and what killed creations left in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandboxd.environments.interpreter import inspect_interpreter
from sandboxd.environments.manifest import read_manifest
from sandboxd.environments.model import BASE, Environment, check_name
from sandboxd.errors import Code, SandboxdError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CREATING = ".creating-"
_REMOVING = ".removing-"


def load_environments(root: Path) -> dict[str, Environment]:
    """Load every environment below `root`, by name; `base` is always there.

    Raises:
        SandboxdError: ENVIRONMENT_FAILED names the one that cannot be used.
    """
    environments = {BASE: _base()}
    sweep(root)
    for name in environment_names(root):
        environments[name] = read_manifest(root / name)
    return environments


def load_environment(root: Path, name: str) -> Environment:
    """Load one environment; what is wrong with another is no concern of its users.

    Raises:
        SandboxdError: ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED.
    """
    if name == BASE:
        return _base()
    try:
        names = environment_names(root)
    except OSError as error:
        raise SandboxdError(
            Code.ENVIRONMENT_FAILED,
            f"The environments in {root} cannot be read: {error.strerror}.",
            remedy="Name a directory that the daemon's user may read with --environments-dir.",
        ) from error
    if name not in names:
        raise not_found(name, names)
    return read_manifest(root / name)


def environment_names(root: Path) -> list[str]:
    """Name what stands below `root`, sorted, whether or not it can be used."""
    try:
        with os.scandir(root) as entries:
            return sorted(
                e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")
            )
    except FileNotFoundError:
        return []


def remove_environment(root: Path, name: str) -> None:
    """Remove an environment, also a broken one. Sandboxes that run in it lose their files: stop them first.

    Raises:
        SandboxdError: INVALID_REQUEST, ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED.
    """
    if check_name(name) == BASE:
        raise SandboxdError(
            Code.INVALID_REQUEST,
            "base is the daemon's own interpreter and cannot be removed.",
            remedy="Name an environment that `sandboxd env create` made.",
        )
    sweep(root)
    # Renamed first: it is gone at once and whole, also when this process is killed while it deletes files.
    doomed = root / f"{_REMOVING}{name}-{secrets.token_hex(4)}"
    try:
        (root / name).rename(doomed)
    except FileNotFoundError:
        raise not_found(name, environment_names(root)) from None
    except OSError as error:
        raise SandboxdError(
            Code.ENVIRONMENT_FAILED,
            f"Environment {name} cannot be removed: {error.strerror}.",
            remedy=f"Check who owns {root}.",
        ) from error
    _remove_unowned(doomed)


def not_found(name: str, names: list[str]) -> SandboxdError:
    """Build the error for a name that no environment has."""
    return SandboxdError(
        Code.ENVIRONMENT_NOT_FOUND,
        f"There is no environment {name}; there are: {', '.join([BASE, *names])}.",
        remedy=f"`sandboxd env create {name}` makes it.",
        environment=name,
    )


@dataclass(frozen=True, slots=True)
class Stage:
    """A directory in which an environment is being made. While `lock_fd` is open somewhere, it is owned."""

    path: Path
    lock_fd: int


@contextlib.contextmanager
def staging(root: Path, name: str) -> Iterator[Stage]:
    """Own the staging directory of `name`; remove whatever is left in it at the end, however that comes.

    Raises:
        SandboxdError: ENVIRONMENT_FAILED when another process is creating the same name.
    """
    try:
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
        sweep(root)
        stage = _claim(root / f"{_CREATING}{name}", name)
    except OSError as error:
        raise SandboxdError(
            Code.ENVIRONMENT_FAILED,
            f"Nothing can be made in {root}: {error.strerror}.",
            remedy="Name a directory that this user may write to with --environments-dir.",
        ) from error
    try:
        yield stage
    finally:
        shutil.rmtree(stage.path, ignore_errors=True)
        os.close(stage.lock_fd)


def publish(stage: Stage, final: Path) -> None:
    """Make the staged environment final: the rename is the moment at which it exists.

    Raises:
        SandboxdError: ENVIRONMENT_FAILED when there is one of that name.
    """
    os.sync()  # after a power loss the name must not stand for files that never reached the disk
    try:
        stage.path.rename(final)
    except OSError as error:
        raise exists_already(final.name) from error


def exists_already(name: str) -> SandboxdError:
    """Build the error for a name that is taken."""
    return SandboxdError(
        Code.ENVIRONMENT_FAILED,
        f"Environment {name} exists already.",
        remedy=f"Environments are never changed: `sandboxd env remove {name}` first, or choose another name.",
        environment=name,
    )


def sweep(root: Path) -> None:
    """Remove what killed creations and removals left below `root`; what a live process owns stays."""
    with contextlib.suppress(OSError), os.scandir(root) as entries:
        for entry in list(entries):
            if entry.name.startswith((_CREATING, _REMOVING)):
                _remove_unowned(Path(entry.path))


def _claim(path: Path, name: str) -> Stage:
    while True:
        try:
            path.mkdir(mode=0o755)
        except FileExistsError:
            raise SandboxdError(
                Code.ENVIRONMENT_FAILED,
                f"Another process is creating environment {name} right now.",
                remedy="Wait for it, then look at `sandboxd env list`.",
                environment=name,
            ) from None
        # A sweep may take the new directory before it is locked: then the next round makes another.
        with contextlib.suppress(FileNotFoundError):
            lock_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(lock_fd, fcntl.LOCK_EX)
            if _is_still(path, lock_fd):
                path.chmod(0o755)
                return Stage(path, lock_fd)
            os.close(lock_fd)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_unowned(path: Path) -> None:
    try:
        # O_NOFOLLOW: a link with such a name must not lead the removal elsewhere.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _base() -> Environment:
    own = inspect_interpreter(sys.executable)
    return Environment(BASE, own.python, own.base_prefix, own.version, stdlib=own.stdlib)
