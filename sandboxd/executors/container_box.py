"""One session's container as the front sees it: the process tier's box, on a container's link."""

from __future__ import annotations

import os
from typing import NoReturn, cast

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import Protection
from sandboxd.executors.base import Box, BoxSpec
from sandboxd.executors.container_link import ContainerLink
from sandboxd.executors.forks import Home
from sandboxd.executors.link import Link
from sandboxd.executors.process_box import ProcessBox
from sandboxd.launcher import fork_messages, protocol
from sandboxd.launcher.protections import Row


class ContainerBox(ProcessBox):
    """A box in a container of its own. Executions, tools, files and their outcomes are `ProcessBox`'s.

    Args:
        link: a container whose guest is ready.
        spec: what the box is to be.
        protections: what is active in it.
        pooled: whether it had been waiting.
    """

    def __init__(self, link: ContainerLink, spec: BoxSpec, protections: list[Row], *, pooled: bool) -> None:
        fds, link.fds = link.fds, []
        counters = {name: os.dup(fd) for name, fd in link.counters.items()}
        rows = tuple(Protection(*row) for row in protections)
        # The launcher's link and a container's have tell, ask, hear and number in common, and a box uses no more.
        home = Home(cast("Link", link), spec.limits, rows, link.python, pooled, counters, _no_clones)
        born = protocol.Opened(
            request=0,
            box=0,
            python=link.python,
            protections=[],
            pooled=pooled,
            guest_pid=0,  # never asked for its clock: a container without a CPU counter is not opened
            counters=[],
        )
        super().__init__(home, born, fds)
        link.occupy(self, spec.limits)

    async def fork(self, count: int) -> list[Box]:
        """Refuse: see `Box.fork`."""
        raise _not_here(f"be cloned ({count} asked for)")

    async def checkpoint(self, name: str) -> None:
        """Refuse: see `Box.checkpoint`."""
        raise _not_here(f"keep a checkpoint {name[:40]!r}")


def _not_here(what: str) -> SandboxdError:
    return SandboxdError(
        Code.FORK_REFUSED,
        f"A session in a container cannot {what}: its init does not make clones yet.",
        remedy="Use a policy with isolate.executor: process for it.",
        failure=FailureClass.NOT_STARTED,
    )


def _no_clones(_home: Home, _born: fork_messages.Forked, _fds: list[int]) -> NoReturn:
    raise AssertionError("nothing asks a container for clones")
