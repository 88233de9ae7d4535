"""Brings back the files that a run left in /work, under a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_client.agent.files import MAX_ARTIFACT_BYTES, MAX_ARTIFACTS, MAX_ARTIFACTS_BYTES, media_type
from sandboxd_client.agent.result import Artifact
from sandboxd_client.errors import SandboxError

if TYPE_CHECKING:
    from sandboxd_client._async.agent_sandbox import AsyncAgentFiles
    from sandboxd_client.info import FileInfo


async def snapshot(files: AsyncAgentFiles) -> frozenset[FileInfo]:
    """Return what lies in /work now: regular files, no hidden ones.

    Raises:
        SandboxError: the sandbox refuses.
    """
    listed = await files.list(".")
    return frozenset(file for file in listed if file.kind == "file" and not file.name.startswith("."))


async def fetch_new_files(files: AsyncAgentFiles, before: frozenset[FileInfo]) -> tuple[Artifact, ...]:
    """Return the files that are new or changed since `before`; those over the bounds without their data.

    A sandbox that is gone has left nothing: that is no error, for the run's own outcome says so.
    """
    artifacts: list[Artifact] = []
    left_bytes = MAX_ARTIFACTS_BYTES
    try:
        new = sorted(await snapshot(files) - before, key=lambda file: file.path)
        for file in new[:MAX_ARTIFACTS]:
            wanted = file.size_bytes <= min(MAX_ARTIFACT_BYTES, left_bytes)
            data = await files.read(file.path, format="bytes") if wanted else None
            left_bytes -= len(data or b"")
            artifacts.append(Artifact(file.name, media_type(file.name), file.size_bytes, data))
    except SandboxError:
        pass
    return tuple(artifacts)
