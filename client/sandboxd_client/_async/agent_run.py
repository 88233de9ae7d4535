"""One run of a code agent, step by step.

An execution is never repeated: where its fate is unknown the run ends and says so, since a block may have written files,
called tools or sent its answer.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from typing import TYPE_CHECKING, Any

from sandboxd_client._async.agent_base import MAX_REPLY_CHARACTERS, AsyncAgentRun
from sandboxd_client.agent.code_end import CodeEnd
from sandboxd_client.agent.events import CodeParsed, ExecutionFinished, ToolProgress
from sandboxd_client.agent.observation import observe
from sandboxd_client.agent.parsing import ParsedCode, ParseProblem, parse_reply
from sandboxd_client.agent.prompts import system_prompt
from sandboxd_client.agent.result import AgentOutcome, AgentStep, Failure
from sandboxd_client.agent.text import clip
from sandboxd_client.agent.tool_notes import offered, tools_section
from sandboxd_client.errors import InDoubtError, SandboxError
from sandboxd_client.models import Message, ModelReply
from sandboxd_client.results import Execution, Outcome

if TYPE_CHECKING:
    from sandboxd_client.info import PolicyInfo
    from sandboxd_client.tools import Tool

_ENDED_FROM_OUTSIDE = frozenset({Outcome.CANCELLED, Outcome.KILLED})


class AsyncRun(AsyncAgentRun):
    """A run in which the model writes code."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._mark = secrets.token_hex(4)  # what stands between such marks cannot have known them

    def _tools(self) -> tuple[Tool, ...]:
        """Return the tools that code may call; a sandbox of somebody else's need not have any."""
        allowed: frozenset[str] = getattr(self._sandbox, "tools_allowed", frozenset())
        return offered(getattr(self._sandbox, "tools", ()), allowed, "code")

    def _system(self, policy: PolicyInfo, instructions: str) -> str:
        return system_prompt(policy, instructions, tools_section(self._tools(), policy))

    async def _step(self, number: int) -> AgentOutcome | None:
        asked = await self._ask(number, stop=CodeEnd())
        if asked is None:
            return AgentOutcome.MODEL_ERROR
        reply, model_seconds = asked
        parsed = parse_reply(reply)
        self._messages.append(Message("assistant", _said(reply, parsed)))
        step = AgentStep(number, parsed.thought, usage=reply.usage, model_seconds=model_seconds)
        if isinstance(parsed, ParseProblem):
            self._parse_failed(step, parsed)
            return None
        return await self._run(dataclasses.replace(step, code=parsed.code, source=parsed.source))

    async def _run(self, step: AgentStep) -> AgentOutcome | None:
        self._emit(CodeParsed(step.number, step.thought, step.code))
        started = time.monotonic()
        heard: dict[str, Any] = {}
        if self._tools():
            heard["on_tool_call"] = lambda event: self._emit(ToolProgress(step.number, event))
        try:
            execution = await self._sandbox.run_code(
                step.code, timeout=self._budget.step_timeout_seconds, **heard
            )
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

    def _ending(self, execution: Execution) -> AgentOutcome | None:
        """Tell whether an execution ends the run."""
        if execution.outcome in _ENDED_FROM_OUTSIDE:
            return AgentOutcome.STOPPED  # someone wanted it to end: no repair
        if execution.outcome is Outcome.INFRASTRUCTURE:
            self._failure = Failure(execution.evidence.code, execution.evidence.detail)
            return AgentOutcome.SANDBOX_ERROR
        if not (execution.ok and execution.final_answer):
            return None
        self._answer = execution.final_answer.value
        return AgentOutcome.ANSWERED


def _said(reply: ModelReply, parsed: ParsedCode | ParseProblem) -> str:
    """Return the reply as the conversation keeps it: native calls as blocks, nothing empty."""
    if isinstance(parsed, ParsedCode) and parsed.source == "tool_call":
        return f"{parsed.thought}\n```python\n{parsed.code}\n```".strip()
    return clip(reply.text, MAX_REPLY_CHARACTERS) if reply.text.strip() else "(an empty reply)"
