"""One run of an agent, step by step.

Mutable state: the conversation, the steps and the usage of this run, owned by one `AsyncRun`. An execution
is never repeated: where its fate is unknown the run ends and says so, since a block may have written files or
sent its answer.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandboxd_client._async.artifacts import fetch_new_files, snapshot
from sandboxd_client.agent.code_end import CodeEnd
from sandboxd_client.agent.events import (
    AgentEvent,
    CodeParsed,
    ExecutionFinished,
    ModelFinished,
    ModelStarted,
    ModelText,
    ParseFailed,
    RunFinished,
    RunStarted,
    StepFinished,
)
from sandboxd_client.agent.observation import observe
from sandboxd_client.agent.parsing import ParsedCode, ParseProblem, parse_reply
from sandboxd_client.agent.prompts import system_prompt, task_prompt
from sandboxd_client.agent.result import AgentOutcome, AgentResult, AgentStep, Failure, displayed
from sandboxd_client.agent.text import clip
from sandboxd_client.errors import InDoubtError, SandboxError
from sandboxd_client.models import Message, ModelError, ModelReply, TokenUsage
from sandboxd_client.results import Execution, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxd_client._async.agent_sandbox import AsyncAgentSandbox
    from sandboxd_client._async.model import AsyncModel
    from sandboxd_client.agent.files import InputFile
    from sandboxd_client.info import FileInfo, PolicyInfo

# A reply goes back to the model with every later step; one that ran away must not be paid for each time.
_MAX_REPLY_CHARACTERS = 40_000
_ENDED_FROM_OUTSIDE = frozenset({Outcome.CANCELLED, Outcome.KILLED})


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use."""

    max_steps: int
    max_tokens: int | None
    step_timeout_seconds: float | None
    observation_characters: int


class AsyncRun:
    """A run: `begin` it, then `finish` it."""

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
        self._mark = secrets.token_hex(4)  # what stands between such marks cannot have known them
        self._messages: list[Message] = []
        self._steps: list[AgentStep] = []
        self._usage = TokenUsage()
        self._policy: PolicyInfo | None = None
        self._before: frozenset[FileInfo] = frozenset()
        self._failure: Failure | None = None

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
            Message("system", system_prompt(policy, instructions)),
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

    async def _step(self, number: int) -> AgentOutcome | None:
        started = time.monotonic()
        reply = await self._ask(number)
        if reply is None:
            return AgentOutcome.MODEL_ERROR
        model_seconds = time.monotonic() - started
        parsed = parse_reply(reply)
        self._messages.append(Message("assistant", _said(reply, parsed)))
        step = AgentStep(number, parsed.thought, usage=reply.usage, model_seconds=model_seconds)
        if isinstance(parsed, ParseProblem):
            self._emit(ParseFailed(number, parsed))
            self._record(dataclasses.replace(step, problem=parsed, observation=parsed.message))
            return None
        step = dataclasses.replace(step, code=parsed.code, source=parsed.source)
        return await self._run(step)

    async def _ask(self, number: int) -> ModelReply | None:
        self._emit(ModelStarted(number))
        try:
            reply = await self._model.generate(
                tuple(self._messages),
                stop=CodeEnd(),
                on_text=lambda text: self._emit(ModelText(number, text)),
            )
        except ModelError as error:
            self._failure = Failure(error.code, error.message)
            return None
        self._usage += reply.usage
        self._emit(ModelFinished(number, reply))
        return reply

    async def _run(self, step: AgentStep) -> AgentOutcome | None:
        self._emit(CodeParsed(step.number, step.thought, step.code))
        started = time.monotonic()
        try:
            execution = await self._sandbox.run_code(step.code, timeout=self._budget.step_timeout_seconds)
        except SandboxError as error:
            # In doubt, the id is the way to ask what became of it.
            in_doubt = error.execution_id if isinstance(error, InDoubtError) else ""
            self._failure = Failure(error.code, error.message, in_doubt)
            self._record(dataclasses.replace(step, run_seconds=time.monotonic() - started))
            return AgentOutcome.SANDBOX_ERROR
        run_seconds = time.monotonic() - started
        self._emit(ExecutionFinished(step.number, execution))
        seen = observe(execution, self._mark, self._budget.observation_characters)
        observation = f"Observation:\n{seen}"
        self._record(
            dataclasses.replace(step, execution=execution, observation=observation, run_seconds=run_seconds)
        )
        return self._ending(execution)

    def _record(self, step: AgentStep) -> None:
        """Keep a step and tell the model what it led to."""
        if step.observation and step.number == self._budget.max_steps - 1:
            told = f"{step.observation}\nOne step is left: call final_answer(...) in it."
            step = dataclasses.replace(step, observation=told)
        self._steps.append(step)
        if step.observation:
            self._messages.append(Message("user", step.observation))
        self._emit(StepFinished(step))

    def _ending(self, execution: Execution) -> AgentOutcome | None:
        """Tell whether an execution ends the run."""
        if execution.outcome in _ENDED_FROM_OUTSIDE:
            return AgentOutcome.STOPPED  # someone wanted it to end: no repair
        if execution.outcome is Outcome.INFRASTRUCTURE:
            self._failure = Failure(execution.evidence.code, execution.evidence.detail)
            return AgentOutcome.SANDBOX_ERROR
        return AgentOutcome.ANSWERED if execution.ok and execution.final_answer else None

    async def _result(self, outcome: AgentOutcome) -> AgentResult:
        assert self._policy is not None
        last = self._steps[-1].execution if self._steps else None
        answer = (
            last.final_answer.value
            if outcome is AgentOutcome.ANSWERED and last and last.final_answer
            else None
        )
        figures = [figure for step in self._steps for figure in displayed(step)]
        return AgentResult(
            task=self._task,
            outcome=outcome,
            answer=answer,
            steps=tuple(self._steps),
            usage=self._usage,
            model=self._model.name,
            policy=self._policy.name,
            policy_digest=self._policy.digest,
            messages=tuple(self._messages),
            artifacts=(*figures, *await fetch_new_files(self._sandbox.files, self._before)),
            failure=self._failure,
        )


def _said(reply: ModelReply, parsed: ParsedCode | ParseProblem) -> str:
    """Return the reply as the conversation keeps it: native calls as blocks, nothing empty."""
    if isinstance(parsed, ParsedCode) and parsed.source == "tool_call":
        return f"{parsed.thought}\n```python\n{parsed.code}\n```".strip()
    return clip(reply.text, _MAX_REPLY_CHARACTERS) if reply.text.strip() else "(an empty reply)"
