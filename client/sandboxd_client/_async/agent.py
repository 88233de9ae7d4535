"""The agent: ask the model, run its code, show it what happened, until it answers or a budget ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_client._async.agent_run import AsyncRun, Budget
from sandboxd_client.agent.files import FileSource, read_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandboxd_client._async.agent_sandbox import AsyncAgentSandbox
    from sandboxd_client._async.model import AsyncModel
    from sandboxd_client.agent.events import AgentEvent
    from sandboxd_client.agent.result import AgentResult


class AsyncCodeAgent:
    """Solves tasks by letting a model write Python that runs in a sandbox.

    The agent keeps nothing between runs; the sandbox keeps its variables and files, so a second run can build
    on the first. It opens and closes no sandbox: who opened it closes it.

    Args:
        model: what writes the code.
        sandbox: where it runs.
        max_steps: how often the model is asked at most.
        max_tokens: how many tokens, in and out, may be used before no further step begins; None for no limit.
        instructions: added to the system prompt.
        on_event: is called with each event, in order, between and during steps. It must not block.
        step_timeout_seconds: narrows the policy's limit for each block.
        observation_characters: how much of a block's output the model is shown, and again of an error.

    Raises:
        ValueError: a budget is not positive.
    """

    def __init__(
        self,
        model: AsyncModel,
        sandbox: AsyncAgentSandbox,
        *,
        max_steps: int = 10,
        max_tokens: int | None = None,
        instructions: str = "",
        on_event: Callable[[AgentEvent], None] | None = None,
        step_timeout_seconds: float | None = None,
        observation_characters: int = 8000,
    ) -> None:
        if max_steps < 1 or observation_characters < 1 or (max_tokens is not None and max_tokens < 1):
            raise ValueError("max_steps, max_tokens and observation_characters are positive")
        self._model = model
        self._sandbox = sandbox
        self._budget = Budget(max_steps, max_tokens, step_timeout_seconds, observation_characters)
        self._instructions = instructions
        self._on_event = on_event

    async def run(self, task: str, files: Iterable[FileSource] = ()) -> AgentResult:
        """Work on a task until it is answered or a budget, the model or the sandbox ends it.

        Args:
            task: what is to be done, in words.
            files: paths, or `InputFile` values, that are put into /work first.

        Returns:
            The run. A model or a sandbox that fails on the way ends it with an outcome, so that its steps are
            kept.

        Raises:
            ValueError: two files have one name.
            OSError: a file cannot be read.
            SandboxError: the run could not begin.
        """
        inputs = read_inputs(files)
        run = AsyncRun(self._model, self._sandbox, self._budget, self._on_event or _ignore, task)
        await run.begin(inputs, self._instructions)
        return await run.finish()


def _ignore(_event: AgentEvent) -> None:
    """Take an event that nobody asked for."""
