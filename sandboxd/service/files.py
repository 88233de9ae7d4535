"""Files of a session: the calls. The descriptors come from the box's own kernel view, so no path is resolved here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1.sandbox_pb2_grpc import SandboxServiceServicer

from sandboxd.service.convert import file_message
from sandboxd.service.refusals import answering
from sandboxd.service.transfers import checked_path, download, opened, upload, upload_start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandboxd.log import JsonValue, Log
    from sandboxd.service.context import Context
    from sandboxd.service.peer import PeerNames
    from sandboxd.sessions import Session, Sessions


class FileService(SandboxServiceServicer):
    """The file calls of `SandboxService`."""

    def __init__(self, sessions: Sessions, log: Log, peers: PeerNames) -> None:
        self._sessions = sessions
        self._log = log
        self._peers = peers

    async def Upload(  # noqa: N802
        self, _requests: AsyncIterator[pb.UploadRequest], context: Context
    ) -> pb.UploadResponse:
        """Put one file below /work, whole or not at all."""
        async with answering(context):
            start = await upload_start(context)
            session = self._session(context, start.session_id)
            # One at a time: two uploads of one path would share the box's temporary.
            with session:
                async with session.uploads:
                    stat = await upload(session, start, context)
            self._record("file_written", session, start.path, stat.size_bytes, start.sha256)
            return pb.UploadResponse(file=file_message(stat))
        raise AssertionError  # `answering` has raised

    async def Download(  # type: ignore[override]  # noqa: N802  # writes by the context
        self, request: pb.DownloadRequest, context: Context
    ) -> None:
        """Send one file: its facts, its bytes, its hash."""
        async with answering(context):
            session = self._session(context, request.session_id)
            with session:
                descriptor, stat = await opened(session.box, checked_path(request.path), "r")
                try:
                    digest = await download(session, descriptor, stat, context)
                finally:
                    os.close(descriptor)
            self._record("file_read", session, request.path, stat.size_bytes, digest)

    async def ListFiles(self, request: pb.ListFilesRequest, context: Context) -> pb.ListFilesResponse:  # noqa: N802
        """List a directory."""
        async with answering(context):
            with self._session(context, request.session_id) as session:
                files, truncated = await session.box.list_files(checked_path(request.path or "."))
            return pb.ListFilesResponse(files=[file_message(one) for one in files], truncated=truncated)
        raise AssertionError  # `answering` has raised

    async def StatFile(self, request: pb.StatFileRequest, context: Context) -> pb.StatFileResponse:  # noqa: N802
        """Tell a file's facts."""
        async with answering(context):
            with self._session(context, request.session_id) as session:
                return pb.StatFileResponse(
                    file=file_message(await session.box.stat_file(checked_path(request.path)))
                )
        raise AssertionError  # `answering` has raised

    async def RemoveFile(self, request: pb.RemoveFileRequest, context: Context) -> pb.RemoveFileResponse:  # noqa: N802
        """Remove a file or an empty directory."""
        async with answering(context):
            with self._session(context, request.session_id) as session:
                await session.box.remove_file(checked_path(request.path))
            self._record("file_removed", session, request.path, None, None)
            return pb.RemoveFileResponse()
        raise AssertionError  # `answering` has raised

    async def RenameFile(self, request: pb.RenameFileRequest, context: Context) -> pb.RenameFileResponse:  # noqa: N802
        """Give a file or directory another name."""
        async with answering(context):
            path, new_path = checked_path(request.path), checked_path(request.new_path)
            with self._session(context, request.session_id) as session:
                stat = await session.box.rename_file(path, new_path)
            self._record("file_renamed", session, path, stat.size_bytes, None, new_path=new_path)
            return pb.RenameFileResponse(file=file_message(stat))
        raise AssertionError  # `answering` has raised

    async def MakeDirectory(  # noqa: N802
        self, request: pb.MakeDirectoryRequest, context: Context
    ) -> pb.MakeDirectoryResponse:
        """Make a directory with its parents."""
        async with answering(context):
            with self._session(context, request.session_id) as session:
                stat = await session.box.make_directory(checked_path(request.path))
            self._record("directory_made", session, request.path, None, None)
            return pb.MakeDirectoryResponse(file=file_message(stat))
        raise AssertionError  # `answering` has raised

    def _session(self, context: Context, token: str) -> Session:
        return self._sessions.find(self._peers.uid(context), token)

    def _record(
        self,
        kind: str,
        session: Session,
        path: str,
        size_bytes: int | None,
        sha256: str | None,
        **more: JsonValue,
    ) -> None:
        """Record what was done; the log cuts and escapes the path."""
        fields: dict[str, JsonValue] = {
            "session": session.facts.display_id,
            "uid": session.facts.uid,
            "path": path,
        }
        self._log.after(kind, {**fields, "size_bytes": size_bytes, "sha256": sha256, **more})
