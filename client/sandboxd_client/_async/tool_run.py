"""One run of a tool calling agent, step by step: the model's JSON calls go through the daemon before a function runs."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from sandboxd_client._async.agent_base import MAX_REPLY_CHARACTERS, AsyncAgentRun
from sandboxd_client.agent.events import ToolCallsFinished, ToolCallsParsed, ToolProgress
from sandboxd_client.agent.parsing import FINAL_ANSWER, ParseProblem
from sandboxd_client.agent.result import AgentOutcome, AgentStep, Failure
from sandboxd_client.agent.text import clip
from sandboxd_client.agent.tool_calling import (
    ANSWER_TOOL,
    SYSTEM,
    CalledTool,
    ParsedCalls,
    answer_of,
    offer_of,
    parse_calls,
    told_result,
)
from sandboxd_client.agent.tool_notes import offered
from sandboxd_client.errors import SandboxError
from sandboxd_client.models import Message, ModelReply, ToolCall
from sandboxd_client.tools.direct import DirectCall

if TYPE_CHECKING:
    from sandboxd_client._async.agent_sandbox import AsyncToolSandbox
    from sandboxd_client.info import PolicyInfo

_NOT_ALONE = (
    "final_answer counts only when it is called alone. Look at the other results first, then call it."
)
_NO_ANSWER = 'The arguments of final_answer are no JSON object. Write {"answer": ...}.'


class AsyncToolRun(AsyncAgentRun):
    """A run in which the model calls tools."""

    ANSWER_HINT = "One step is left: call final_answer in it."
    _sandbox: AsyncToolSandbox

    def _system(self, policy: PolicyInfo, instructions: str) -> str:  # noqa: ARG002 - no code, so nothing of its policy
        return f"{SYSTEM}\n{instructions.strip()}\n" if instructions.strip() else SYSTEM

    async def _step(self, number: int) -> AgentOutcome | None:
        tools = offered(self._sandbox.tools, self._sandbox.tools_allowed, "direct")
        asked = await self._ask(number, tools=[*(offer_of(tool) for tool in tools), ANSWER_TOOL])
        if asked is None:
            return AgentOutcome.MODEL_ERROR
        reply, model_seconds = asked
        parsed = parse_calls(reply)
        self._messages.append(_said(reply, parsed))
        step = AgentStep(number, parsed.thought, usage=reply.usage, model_seconds=model_seconds)
        if isinstance(parsed, ParseProblem):
            self._parse_failed(step, parsed)
            return None
        step = dataclasses.replace(step, source="tool_call" if parsed.native else "json_call")
        self._emit(ToolCallsParsed(number, parsed.thought, parsed.calls))
        if [call.name for call in parsed.calls] == [FINAL_ANSWER]:
            return self._answered(step, parsed)
        return await self._call(step, parsed)

    def _answered(self, step: AgentStep, parsed: ParsedCalls) -> AgentOutcome | None:
        [call] = parsed.calls
        answer = answer_of(call)
        if answer is None:
            self._keep(step, parsed, [CalledTool(call.name, call.arguments, told=_NO_ANSWER)])
            return None
        self._answer = answer.value
        self._keep(step, parsed, [CalledTool(call.name, call.arguments)])
        return AgentOutcome.ANSWERED

    async def _call(self, step: AgentStep, parsed: ParsedCalls) -> AgentOutcome | None:
        """Have all calls of a step made at once."""
        started = time.monotonic()
        asked = [call for call in parsed.calls if call.name != FINAL_ANSWER]
        try:
            results = await self._sandbox.call_tools(
                [DirectCall(call.name, call.arguments or "{}") for call in asked],
                on_tool_call=lambda event: self._emit(ToolProgress(step.number, event)),
            )
        except SandboxError as error:
            self._failure = Failure(error.code, error.message)
            unknown = [CalledTool(call.name, call.arguments) for call in parsed.calls]
            self._keep(step, parsed, unknown)
            return AgentOutcome.SANDBOX_ERROR
        step = dataclasses.replace(step, run_seconds=time.monotonic() - started)
        self._emit(ToolCallsFinished(step.number, tuple(results)))
        limit = self._budget.observation_characters
        left = iter(results)
        called = []
        for call in parsed.calls:
            if call.name == FINAL_ANSWER:
                called.append(CalledTool(call.name, call.arguments, told=_NOT_ALONE))
            else:
                result = next(left)
                called.append(CalledTool(call.name, call.arguments, result, told_result(result, limit)))
        self._keep(step, parsed, called)
        return None

    def _keep(self, step: AgentStep, parsed: ParsedCalls, called: list[CalledTool]) -> None:
        """Keep a step; tell the model of each call under its id, or in one message where it wrote the calls as text."""
        step = dataclasses.replace(step, calls=tuple(called))
        told = [one.told for one in called if one.told]  # of all of them, or of none where the run ends here
        if not told:
            self._record(step)
        elif parsed.native:
            told[-1] = self._hinted(step.number, told[-1])
            answers = zip(parsed.calls, told, strict=True)
            self._messages += [Message("tool", text, tool_call_id=call.id) for call, text in answers]
            self._record(dataclasses.replace(step, observation="\n".join(told)), tell=False)
        else:
            lines = [f"{one.name}: {one.told}" for one in called]
            self._record(dataclasses.replace(step, observation="\n".join(["Results:", *lines])))


def _said(reply: ModelReply, parsed: ParsedCalls | ParseProblem) -> Message:
    """Return the reply as the conversation keeps it."""
    text = clip(reply.text, MAX_REPLY_CHARACTERS)
    if isinstance(parsed, ParsedCalls) and parsed.native:
        calls = tuple(
            ToolCall(call.name, clip(call.arguments, MAX_REPLY_CHARACTERS), call.id) for call in parsed.calls
        )
        return Message("assistant", text, calls)
    return Message("assistant", text if text.strip() else "(an empty reply)")
