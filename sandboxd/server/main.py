"""From a command line to an exit code: 0 after an orderly end, 3 when the daemon cannot start."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING

from sandboxd.config import load, parse_arguments
from sandboxd.errors import SandboxdError
from sandboxd.hosts.descriptors import take_descriptors
from sandboxd.server.announce import Announcer
from sandboxd.server.daemon import Daemon
from sandboxd.server.logs import configure_logs
from sandboxd.server.sockets import socket_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandboxd.config import Config, Invocation

EXIT_CANNOT_START = 3
_logger = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Run the daemon until it is told to stop.

    Args:
        argv: the arguments after `sandboxd serve`.
    """
    # Read when gRPC is imported, which is later: its fork handlers are for processes that fork without exec.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
    announcer = Announcer()
    try:
        config, invocation = load(parse_arguments(argv), os.environ)
        announcer.use(invocation.ready_fd)
        configure_logs(config.log_level)
        # TCP is refused before anything is opened.
        socket_path(config.address)
        socket_path(config.admin_address)
        return _run(config, invocation, announcer)
    except SandboxdError as error:
        announcer.failed(error)
        print(_explained(error), file=sys.stderr)  # noqa: T201  # the reason must be readable without a log reader
        return EXIT_CANNOT_START
    finally:
        announcer.close()


def _run(config: Config, invocation: Invocation, announcer: Announcer) -> int:
    os.umask(0o077)
    take_descriptors()
    try:
        asyncio.run(Daemon(config, invocation, announcer).run())
    except BaseExceptionGroup as group:
        # Not `except*`: what is raised in its body comes out wrapped in a group again on some 3.11.
        reason = _reason(group)
        if reason is None:
            raise
        raise reason from None
    return 0


def _reason(group: BaseExceptionGroup[BaseException]) -> SandboxdError | None:
    """Find the error with a code in the groups that the tasks put around it."""
    for error in group.exceptions:
        found = _reason(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, SandboxdError):
            return found
    return None


def _explained(error: SandboxdError) -> str:
    return "\n  ".join([f"sandboxd: {error.code}: {error.message}", *error.remedy.splitlines()])
