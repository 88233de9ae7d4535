"""What an agent needs of a sandbox. `AsyncSandbox` has it; so has anything else with these methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandboxd_client._backend_async import Callback
    from sandboxd_client.info import FileInfo, PolicyInfo
    from sandboxd_client.results import Execution
    from sandboxd_client.stream_events import ToolFinished, ToolStarted
    from sandboxd_client.tools import Tool
    from sandboxd_client.tools.direct import DirectCall, DirectResult


class AsyncAgentFiles(Protocol):
    """The files of the sandbox's work directory."""

    async def write(self, path: str, data: bytes, /) -> FileInfo:
        """Write a file."""

    async def read(self, path: str, /, *, format: Literal["bytes"]) -> bytes:  # noqa: A002 (its public name)
        """Return a file's content."""

    async def list(self, path: str = ".", /) -> Sequence[FileInfo]:
        """List a directory."""


class AsyncAgentSandbox(Protocol):
    """An interpreter that keeps its variables, with files and a policy."""

    @property
    def files(self) -> AsyncAgentFiles:
        """Return the files."""

    async def run_code(self, code: str, *, timeout: float | None = None) -> Execution:  # noqa: ASYNC109 (the policy's clock, not the caller's)
        """Run a block."""

    async def policy_info(self) -> PolicyInfo:
        """Return what the policy allows."""


class AsyncToolSandbox(AsyncAgentSandbox, Protocol):
    """A sandbox whose tools a model calls directly."""

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Return the tools."""

    @property
    def tools_allowed(self) -> frozenset[str]:
        """Return the names of those that the policy allows."""

    async def call_tools(
        self,
        calls: Sequence[DirectCall],
        *,
        on_tool_call: Callback[ToolStarted | ToolFinished] | None = None,
    ) -> list[DirectResult]:
        """Call tools, all at once."""
