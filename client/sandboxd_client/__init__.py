"""The client of sandboxd: run code that a language model wrote in a sandbox, under a policy.

    from sandboxd_client import Sandbox

    with Sandbox() as sandbox:
        print(sandbox.run_code("sum(range(10))").text)

`AsyncSandbox` is the same for asyncio. What is not listed in `__all__` is private.
"""

from __future__ import annotations

from ._async.agent import AsyncCodeAgent, AsyncToolCallingAgent
from ._async.one_shot import AsyncOneShot
from ._async.openai_compatible import AsyncOpenAICompatible
from ._async.probe import make_agent as make_async_agent
from ._async.probe import probe_model as async_probe_model
from ._async.sandbox import AsyncSandbox
from ._async.scripted_model import AsyncScriptedModel
from ._sync.agent import CodeAgent, ToolCallingAgent
from ._sync.one_shot import OneShot
from ._sync.openai_compatible import OpenAICompatible
from ._sync.probe import make_agent, probe_model
from ._sync.sandbox import Sandbox
from ._sync.scripted_model import ScriptedModel
from .agent import AgentOutcome, AgentResult, AgentStep
from .agent.probing import ProbeResult
from .errors import (
    ClientCode,
    DaemonStartError,
    FaultError,
    InDoubtError,
    NotStartedError,
    RefusedError,
    SandboxError,
    SessionLostError,
)
from .info import (
    Checkpoint,
    FileInfo,
    FileList,
    Limits,
    PolicyInfo,
    Protection,
    RulePage,
    SessionInfo,
    SessionSummary,
)
from .models import Message, ModelError, ModelReply
from .results import (
    Decision,
    Evidence,
    Execution,
    ExecutionError,
    FinalAnswer,
    Finding,
    Logs,
    Outcome,
    Result,
    SourceStats,
    ToolState,
    ToolUse,
    Usage,
    Verdict,
)
from .stream_events import Display, Finished, Screened, Stderr, Stdout, ToolFinished, ToolStarted
from .tools import (
    Tool,
    ToolDefinitionError,
    ToolImage,
    ToolInvocation,
    ToolRefusedError,
    ToolTable,
    ToolValueError,
    ToolWrapper,
    approval,
    call_limit,
    current_call,
    logged,
    tool,
)
from .tools.direct import DirectCall, DirectResult

__all__ = (
    "AgentOutcome",
    "AgentResult",
    "AgentStep",
    "AsyncCodeAgent",
    "AsyncOneShot",
    "AsyncOpenAICompatible",
    "AsyncSandbox",
    "AsyncScriptedModel",
    "AsyncToolCallingAgent",
    "Checkpoint",
    "ClientCode",
    "CodeAgent",
    "DaemonStartError",
    "Decision",
    "DirectCall",
    "DirectResult",
    "Display",
    "Evidence",
    "Execution",
    "ExecutionError",
    "FaultError",
    "FileInfo",
    "FileList",
    "FinalAnswer",
    "Finding",
    "Finished",
    "InDoubtError",
    "Limits",
    "Logs",
    "Message",
    "ModelError",
    "ModelReply",
    "NotStartedError",
    "OneShot",
    "OpenAICompatible",
    "Outcome",
    "PolicyInfo",
    "ProbeResult",
    "Protection",
    "RefusedError",
    "Result",
    "RulePage",
    "Sandbox",
    "SandboxError",
    "Screened",
    "ScriptedModel",
    "SessionInfo",
    "SessionLostError",
    "SessionSummary",
    "SourceStats",
    "Stderr",
    "Stdout",
    "Tool",
    "ToolCallingAgent",
    "ToolDefinitionError",
    "ToolFinished",
    "ToolImage",
    "ToolInvocation",
    "ToolRefusedError",
    "ToolStarted",
    "ToolState",
    "ToolTable",
    "ToolUse",
    "ToolValueError",
    "ToolWrapper",
    "Usage",
    "Verdict",
    "approval",
    "async_probe_model",
    "call_limit",
    "current_call",
    "logged",
    "make_agent",
    "make_async_agent",
    "probe_model",
    "tool",
)

# A traceback and a repr show the name that users import, not where it happens to live.
for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
