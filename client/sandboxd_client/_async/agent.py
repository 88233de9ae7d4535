"""The agents: ask the model, run its code or its tool calls, show it what happened, until it answers or a budget ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_client._async.agent_base import AsyncAgentRun, Budget
from sandboxd_client._async.agent_run import AsyncRun
from sandboxd_client._async.tool_run import AsyncToolRun
from sandboxd_client.agent.files import FileSource, read_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandboxd_client._async.agent_sandbox import AsyncAgentSandbox, AsyncToolSandbox
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
        run = AsyncRun(self._model, self._sandbox, self._budget, self._on_event or _ignore, task)
        return await _carried_out(run, files, self._instructions)


class AsyncToolCallingAgent:
    """Solves tasks by letting a model call tools as JSON, several at once: for models that write code badly.

    The tools are the sandbox's own, those that a model may call directly. Each call is checked by the daemon before its
    function runs: registered, allowed by the policy, arguments, budgets; and is recorded. No code runs in the sandbox.

    Args:
        model: what calls the tools.
        sandbox: whose tools they are.
        max_steps: how often the model is asked at most.
        max_tokens: how many tokens, in and out, may be used before no further step begins; None for no limit.
        instructions: added to the system prompt.
        on_event: is called with each event, in order, between and during steps. It must not block.
        observation_characters: how much of a result the model is shown.

    Raises:
        ValueError: a budget is not positive.
    """

    def __init__(
        self,
        model: AsyncModel,
        sandbox: AsyncToolSandbox,
        *,
        max_steps: int = 10,
        max_tokens: int | None = None,
        instructions: str = "",
        on_event: Callable[[AgentEvent], None] | None = None,
        observation_characters: int = 8000,
    ) -> None:
        self._model = model
        self._sandbox = sandbox
        self._budget = Budget(max_steps, max_tokens, None, observation_characters)
        self._instructions = instructions
        self._on_event = on_event

    async def run(self, task: str, files: Iterable[FileSource] = ()) -> AgentResult:
        """Work on a task until it is answered or a budget, the model or the sandbox ends it.

        Args:
            task: what is to be done, in words.
            files: paths, or `InputFile` values, that are put into /work first.

        Returns:
            The run, of the same kind as a `CodeAgent`'s; its steps hold `calls` instead of code.

        Raises:
            ValueError: two files have one name.
            OSError: a file cannot be read.
            SandboxError: the run could not begin.
        """
        run = AsyncToolRun(self._model, self._sandbox, self._budget, self._on_event or _ignore, task)
        return await _carried_out(run, files, self._instructions)


async def _carried_out(run: AsyncAgentRun, files: Iterable[FileSource], instructions: str) -> AgentResult:
    await run.begin(read_inputs(files), instructions)
    return await run.finish()


def _ignore(_event: AgentEvent) -> None:
    """Take an event that nobody asked for."""
