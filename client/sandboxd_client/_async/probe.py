"""Which form a model is better in, code or JSON calls: two small tasks tell, on request, never its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandboxd_client._async.agent import AsyncCodeAgent, AsyncToolCallingAgent
from sandboxd_client.agent.probing import OBSERVED_CHARACTERS, STEPS, TASKS, TOOLS, ProbeResult, Style

if TYPE_CHECKING:
    from sandboxd_client._async.model import AsyncModel
    from sandboxd_client._async.sandbox import AsyncSandbox


async def probe_model(model: AsyncModel, sandbox: AsyncSandbox) -> ProbeResult:
    """Let a model solve two tasks by code, and where it fails one also by JSON calls. It costs 2 to 16 model calls.

    Keep the result for as long as the model stays the same: nothing here does.

    Args:
        model: the model.
        sandbox: an open one; its tools are put aside and come back. The policy must allow `shop_price` and `shop_stock`.

    Raises:
        SandboxError: the sandbox refuses, or is lost.
        ValueError: the policy does not allow the tools.
    """
    before = sandbox.tools
    try:
        allowed = await sandbox.set_tools(TOOLS)
        if len(allowed) < len(TOOLS):
            raise ValueError(
                "The policy allows no tool named shop_price and shop_stock: probe under another one."
            )
        limits: dict[str, Any] = {"max_steps": STEPS, "observation_characters": OBSERVED_CHARACTERS}
        code = await _solved(AsyncCodeAgent(model, sandbox, **limits))
        if code == len(TASKS):
            return ProbeResult(model.name, code)
        return ProbeResult(model.name, code, await _solved(AsyncToolCallingAgent(model, sandbox, **limits)))
    finally:
        await sandbox.set_tools(before)


async def _solved(agent: AsyncCodeAgent | AsyncToolCallingAgent) -> int:
    solved = 0
    for task, right in TASKS:
        result = await agent.run(task)
        solved += right(result.answer)
    return solved


def make_agent(
    model: AsyncModel, sandbox: AsyncSandbox, probed: ProbeResult | Style, **options: Any
) -> AsyncCodeAgent | AsyncToolCallingAgent:
    """Return the agent for a model's better form.

    Args:
        model: the model.
        sandbox: the sandbox, with its tools.
        probed: what `probe_model` found, or the form itself.
        options: of the agent.
    """
    style = probed if isinstance(probed, str) else probed.style
    if style == "json":
        options.pop("step_timeout_seconds", None)  # no code, so none of its limits
        return AsyncToolCallingAgent(model, sandbox, **options)
    return AsyncCodeAgent(model, sandbox, **options)
