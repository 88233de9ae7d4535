"""What the daemon would be started with from here: its settings, its environments, its policies."""

from __future__ import annotations

import os
from pathlib import Path

from sandboxd.config import Config, load, parse_arguments
from sandboxd.doctor.facts import Setup
from sandboxd.environments import BASE, load_environment
from sandboxd.environments.store import environment_names
from sandboxd.errors import SandboxdError
from sandboxd.guest.restricted import facades
from sandboxd.launcher.layout import layout
from sandboxd.policy import Policy, PolicySet


def read_setup(config: Config | None = None) -> tuple[Setup, tuple[Policy, ...]]:
    """Read environments and policies; never raises: what cannot be read is named in `Setup.fault`.

    Args:
        config: the settings of a running daemon; None reads what a daemon started from here would take.
    """
    try:
        config = config or load(parse_arguments([]), os.environ)[0]
    except SandboxdError as error:
        return Setup(fault=error.message), ()
    try:
        policies = _policies(config)
    except SandboxdError as error:
        return _setup(config, fault=error.message), ()
    return _setup(config), policies


def _setup(config: Config, fault: str = "") -> Setup:
    directory = config.environments_dir
    try:
        names = [BASE, *environment_names(directory)]
    except OSError as error:
        names = [BASE]
        fault = fault or f"{directory}: {error.strerror}"
    return Setup(
        state_dir=str(config.state_dir),
        environments_dir=str(directory),
        images_dir=str(config.images_dir),
        engine_socket=str(config.engine_socket),
        max_sessions=config.max_sessions,
        pool_size=config.pool_size,
        environments={name: _environment_fault(directory, name) for name in names},
        state_writable=_is_writable(config.state_dir),
        fault=fault,
    )


def _policies(config: Config) -> tuple[Policy, ...]:
    found = PolicySet.load(
        config.policy_dir,
        default=config.default_policy,
        allow_unscreened=config.allow_unscreened,
        facades=facades.NAMES,
    )
    return tuple(found.get(name) for name in found.names())


def _environment_fault(directory: Path, name: str) -> str:
    try:
        layout(load_environment(directory, name))
    except SandboxdError as error:
        return error.message
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""


def _is_writable(directory: Path) -> bool:
    """Tell whether the state directory can be written, or made."""
    for place in (directory, *directory.parents):
        if place.exists():
            return os.access(place, os.W_OK | os.X_OK)
    return False
