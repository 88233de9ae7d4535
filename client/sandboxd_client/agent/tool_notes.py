"""What a model is told of tools: what it may call, and after a block that did not run to its end which calls took effect."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sandboxd_client.agent.text import clip, inert
from sandboxd_client.results import Execution, ToolState
from sandboxd_client.tools.stubs import stubs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandboxd_client.info import PolicyInfo
    from sandboxd_client.results import ToolUse
    from sandboxd_client.tools import Tool

_MAX_NAME = 80
_MAX_GROUPS = 20

_SECTION = """
Tools
These functions are there besides Python's own. They run outside of the sandbox, and what they do is not undone.{most}

```python
{stubs}
```
Call them by name and keep what they return in a variable.{awaited} A call that fails raises ToolError, one that is not
allowed ToolDenied; do not call again what has finished.
"""
_AWAITED = " Await an `async def` at the top level of the block{gathered}."
_GATHERED = "; `await asyncio.gather(...)` runs several at once"

_WORDS = {
    ToolState.FINISHED: "finished",
    ToolState.FAILED: "failed",
    ToolState.DENIED: "denied, so not run",
    ToolState.TIMED_OUT: "not answered in time (whether it took effect is not known)",
    ToolState.CUT_OFF: "cut off by the end of the block (whether it took effect is not known)",
    ToolState.UNKNOWN: "of unknown fate",
}


def offered(tools: Sequence[Tool], allowed: frozenset[str], caller: str) -> tuple[Tool, ...]:
    """Return the tools that this kind of caller, "code" or "direct", may call under the policy."""
    return tuple(tool for tool in tools if tool.name in allowed and tool.callers in {caller, "both"})


def tools_section(tools: Sequence[Tool], policy: PolicyInfo) -> str:
    """Return the part of the system prompt that declares tools, "" without any."""
    if not tools:
        return ""
    limits = policy.limits
    together = not policy.screened or any(name.startswith("asyncio") for name in policy.allowed_imports)
    awaited = _AWAITED.format(gathered=_GATHERED if together else "")
    return _SECTION.format(
        stubs=stubs(tools),
        most=f" A block may call them {limits.tool_calls} times." if limits.tool_calls else "",
        awaited=awaited if any(tool.is_async for tool in tools) else "",
    )


def told_calls(execution: Execution) -> Iterator[str]:
    """Say what became of the tool calls of a block that did not run to its end."""
    if execution.ok or not execution.tool_calls:
        return
    counted = Counter(_group(use) for use in execution.tool_calls)
    groups = [f"- {group}" + (f", {times} times" if times > 1 else "") for group, times in counted.items()]
    yield "Tool calls of this block, in order:"
    yield from groups[:_MAX_GROUPS]
    left = sum(counted.values()) - sum(list(counted.values())[:_MAX_GROUPS]) + execution.tool_calls_left_out
    if left:
        yield f"- and {left} more"
    if any(use.state is ToolState.FINISHED for use in execution.tool_calls):
        yield "What finished has taken effect and is not undone: do not call it again for the same thing."


def _group(use: ToolUse) -> str:
    name = inert(clip(use.tool, _MAX_NAME))
    why = f" ({inert(clip(use.code, _MAX_NAME))})" if use.code else ""
    return f"{name}: {_WORDS[use.state]}{why}"
