"""From a policy to the tier that isolates its snippets. Routing never weakens: no tier, no session."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.executors.base import BoxSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandboxd.events import Limits, PoolStats
    from sandboxd.executors.base import Box, EnvironmentInfo, Executor
    from sandboxd.policy import Policy


class Isolation:
    """The tiers of this daemon, by the name that a policy's `isolate.executor` gives."""

    def __init__(self, executors: Iterable[Executor]) -> None:
        self._executors = {executor.name: executor for executor in executors}

    async def open(self, policy: Policy, limits: Limits, display_id: str, *, fresh: bool = False) -> Box:
        """Open a box as the policy demands it; a request may demand `fresh` where the policy does not.

        Raises:
            SandboxdError: what `Executor.open` raises, always with the class NOT_STARTED.
        """
        spec = BoxSpec(
            display_id=display_id,
            environment=policy.environment,
            limits=limits,
            require=policy.require,
            fresh=policy.fresh or fresh,
        )
        try:
            return await self._executor(policy).open(spec)
        except SandboxdError as error:
            error.failure = error.failure or FailureClass.NOT_STARTED
            raise

    def environment(self, policy: Policy) -> EnvironmentInfo:
        """Find the environment that the policy's snippets see.

        Raises:
            SandboxdError: EXECUTOR_UNAVAILABLE, ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED.
        """
        try:
            return self._executor(policy).environment(policy.environment)
        except SandboxdError as error:
            error.failure = error.failure or FailureClass.NOT_STARTED
            raise

    async def pools(self) -> tuple[PoolStats, ...]:
        """Count what waits for sessions, in all tiers; a tier that is down has nothing."""
        counted: list[PoolStats] = []
        for executor in self._executors.values():
            with contextlib.suppress(SandboxdError):
                counted += await executor.pools()
        return tuple(counted)

    def _executor(self, policy: Policy) -> Executor:
        executor = self._executors.get(policy.executor)
        if executor is None:
            raise SandboxdError(
                Code.EXECUTOR_UNAVAILABLE,
                f"Policy {policy.name!r} needs the executor {policy.executor!r}, which is not here.",
                remedy=f"Use a policy with isolate.executor: {' or '.join(sorted(self._executors))}.",
                failure=FailureClass.NOT_STARTED,
                executor=policy.executor,
            )
        return executor
