"""The container tiers of a daemon. They cost nothing before the first session that wants one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sandboxd.broker.allow_list import image_names
from sandboxd.broker.spec import RUNTIMES
from sandboxd.environments import BASE, load_environment
from sandboxd.environments.store import environment_names
from sandboxd.executors.container import ContainerExecutor, ContainerSettings, ContainerYard

if TYPE_CHECKING:
    import contextlib

    from sandboxd.config import Config
    from sandboxd.log import StateDir

POOL_FACTOR = 4  # kinds that may have their full number waiting at once


def container_tiers(
    config: Config, state: StateDir, stack: contextlib.AsyncExitStack
) -> tuple[ContainerExecutor, ...]:
    """Make the tiers `runc` and `runsc`; the stack closes them, and then the broker that they share."""
    settings = ContainerSettings(
        engine_socket=config.engine_socket,
        images_dir=config.images_dir,
        guest_parent=config.state_dir / "containers",
        # Whoever has this directory's lock, and so its key, owns the containers that bear this name.
        owner=hashlib.sha256(b"containers:" + state.key).hexdigest()[:32],
        pool_size=config.container_pool,
        pool_max=config.container_pool * POOL_FACTOR,
    )
    yard = ContainerYard(settings)
    stack.push_async_callback(yard.close)
    tiers = tuple(ContainerExecutor(runtime, yard) for runtime in RUNTIMES)
    for tier in tiers:
        stack.push_async_callback(tier.close)
    return tiers


def interpreter_of(config: Config, name: str) -> str:
    """Return the interpreter that screens text for an environment, or, for an image's name, the daemon's own.

    Raises:
        SandboxdError: ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED.
    """
    is_image = name in image_names(config.images_dir) and name not in environment_names(
        config.environments_dir
    )
    return load_environment(config.environments_dir, BASE if is_image else name).python
