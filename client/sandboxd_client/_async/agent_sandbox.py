"""What an agent needs of a sandbox. `AsyncSandbox` has it; so has anything else with these methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandboxd_client.info import FileInfo, PolicyInfo
    from sandboxd_client.results import Execution


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
