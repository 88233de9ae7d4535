"""What every run of an agent has: the conversation, the steps, the budgets, the result.

Mutable state: the conversation, the steps and the usage of this run, owned by one run object.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandboxd_client._async.artifacts import fetch_new_files, snapshot
from sandboxd_client.agent.events import (
    AgentEvent,
    ModelFinished,
    ModelStarted,
    ModelText,
    ParseFailed,
    RunFinished,
    RunStarted,
    StepFinished,
)
from sandboxd_client.agent.prompts import task_prompt
from sandboxd_client.agent.result import AgentOutcome, AgentResult, AgentStep, Failure, displayed
from sandboxd_client.models import Message, ModelError, ModelReply, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxd_client._async.agent_sandbox import AsyncAgentSandbox
    from sandboxd_client._async.model import AsyncModel
    from sandboxd_client.agent.files import InputFile
    from sandboxd_client.agent.parsing import ParseProblem
    from sandboxd_client.info import FileInfo, PolicyInfo

# A reply goes back to the model with every later step; one that ran away must not be paid for each time.
MAX_REPLY_CHARACTERS = 40_000


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use."""

    max_steps: int
    max_tokens: int | None
    step_timeout_seconds: float | None
    observation_characters: int

    def __post_init__(self) -> None:
        wanted = (self.max_steps, self.observation_characters, self.max_tokens)
        if any(number is not None and number < 1 for number in wanted):
            raise ValueError("max_steps, max_tokens and observation_characters are positive")


class AsyncAgentRun:
    """A run: `begin` it, then `finish` it. What a step does, and which options the model gets, is the subclass's."""

    ANSWER_HINT = "One step is left: call final_answer(...) in it."

    def __init__(
        self,
        model: AsyncModel,
        sandbox: AsyncAgentSandbox,
        budget: Budget,
        emit: Callable[[AgentEvent], None],
        task: str,
    ) -> None:
        self._model = model
        self._sandbox = sandbox
        self._budget = budget
        self._emit = emit
        self._task = task
        self._messages: list[Message] = []
        self._steps: list[AgentStep] = []
        self._usage = TokenUsage()
        self._policy: PolicyInfo | None = None
        self._before: frozenset[FileInfo] = frozenset()
        self._failure: Failure | None = None
        self._answer: Any = None

    def _system(self, policy: PolicyInfo, instructions: str) -> str:
        """Return the system message."""
        raise NotImplementedError

    async def _step(self, number: int) -> AgentOutcome | None:
        """Take one step; return the outcome where it ends the run."""
        raise NotImplementedError

    async def begin(self, inputs: list[InputFile], instructions: str) -> None:
        """Ask for the policy, upload the files, write the first messages.

        Raises:
            SandboxError: the sandbox refuses.
        """
        policy = self._policy = await self._sandbox.policy_info()
        written = [await self._sandbox.files.write(file.name, file.data) for file in inputs]
        given = tuple(sorted(written, key=lambda file: file.path))
        self._before = await snapshot(self._sandbox.files)
        self._messages = [
            Message("system", self._system(policy, instructions)),
            Message("user", task_prompt(self._task, given)),
        ]
        self._emit(RunStarted(self._task, self._model.name, policy.name, given))

    async def finish(self) -> AgentResult:
        """Take steps until the run ends; gather what it left behind."""
        outcome = AgentOutcome.MAX_STEPS
        for number in range(1, self._budget.max_steps + 1):
            if self._budget.max_tokens is not None and self._usage.total >= self._budget.max_tokens:
                outcome = AgentOutcome.TOKEN_BUDGET
                break
            ended = await self._step(number)
            if ended:
                outcome = ended
                break
        result = await self._result(outcome)
        self._emit(RunFinished(result))
        return result

    async def _ask(self, number: int, **options: Any) -> tuple[ModelReply, float] | None:
        """Ask the model; return its reply and how many seconds it took, None where it failed."""
        self._emit(ModelStarted(number))
        started = time.monotonic()
        try:
            reply = await self._model.generate(
                tuple(self._messages), on_text=lambda text: self._emit(ModelText(number, text)), **options
            )
        except ModelError as error:
            self._failure = Failure(error.code, error.message)
            return None
        self._usage += reply.usage
        self._emit(ModelFinished(number, reply))
        return reply, time.monotonic() - started

    def _parse_failed(self, step: AgentStep, problem: ParseProblem) -> None:
        self._emit(ParseFailed(step.number, problem))
        self._record(dataclasses.replace(step, problem=problem, observation=problem.message))

    def _hinted(self, number: int, observation: str) -> str:
        """Add to an observation that one step is left, where one is."""
        return f"{observation}\n{self.ANSWER_HINT}" if number == self._budget.max_steps - 1 else observation

    def _record(self, step: AgentStep, *, tell: bool = True) -> None:
        """Keep a step and, unless that has been done, tell the model what it led to."""
        if tell and step.observation:
            step = dataclasses.replace(step, observation=self._hinted(step.number, step.observation))
            self._messages.append(Message("user", step.observation))
        self._steps.append(step)
        self._emit(StepFinished(step))

    async def _result(self, outcome: AgentOutcome) -> AgentResult:
        assert self._policy is not None
        figures = [figure for step in self._steps for figure in displayed(step)]
        return AgentResult(
            task=self._task,
            outcome=outcome,
            answer=self._answer if outcome is AgentOutcome.ANSWERED else None,
            steps=tuple(self._steps),
            usage=self._usage,
            model=self._model.name,
            policy=self._policy.name,
            policy_digest=self._policy.digest,
            messages=tuple(self._messages),
            artifacts=(*figures, *await fetch_new_files(self._sandbox.files, self._before)),
            failure=self._failure,
        )
