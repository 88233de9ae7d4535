"""The files of a sandbox: streamed in pieces, with declared size and checked hash."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, overload

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client import _decode
from sandboxd_client._backend_async import gather, in_thread
from sandboxd_client._content import Content
from sandboxd_client._payload import Payload, Target
from sandboxd_client._status import protocol_error, rpc_errors
from sandboxd_client.errors import RefusedError
from sandboxd_client.info import FileInfo, FileList

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator

    from sandboxd_client._backend_async import AsyncData, Later

    from .session import AsyncSession

TRANSFER_SECONDS = 120.0


class AsyncFiles:
    """Reads and writes below the sandbox's work directory. Paths are relative to /work, or absolute below it.

    Every method opens the sandbox when it is not open yet, and raises RefusedError (FILE_NOT_FOUND,
    FILE_PATH_INVALID, FILE_NOT_REGULAR, FILE_TOO_LARGE, FILE_FAILED), SessionLostError or FaultError.
    """

    def __init__(self, session: Later[AsyncSession], request_seconds: float) -> None:
        self._session = session
        self._request_seconds = request_seconds

    async def write(
        self,
        path: str,
        data: AsyncData,
        *,
        timeout: float = TRANSFER_SECONDS,  # noqa: ASYNC109
    ) -> FileInfo:
        """Write a file; it appears whole or not at all.

        Args:
            path: where to.
            data: text (as UTF-8), bytes, a path of this side, an open file (read from where it stands), or pieces of
                text or bytes from an iterator.
            timeout: seconds for the whole transfer.
        """
        session = await self._session()
        gathered = await gather(data)
        with (
            await in_thread(functools.partial(Payload, gathered, owned=gathered is not data)) as payload,
            rpc_errors(),
        ):
            requests = payload.requests(session.opened.session_id, path)
            response = await session.connection.sandbox.Upload(requests, timeout=timeout)
        if response.file.size_bytes != payload.size_bytes:
            raise protocol_error("The daemon kept another number of bytes than it was sent.")
        return _decode.file_info(response.file)

    @overload
    async def read(
        self,
        path: str,
        *,
        format: Literal["text"] = "text",
        timeout: float = TRANSFER_SECONDS,  # noqa: ASYNC109
    ) -> str: ...

    @overload
    async def read(
        self,
        path: str,
        *,
        format: Literal["bytes"],
        timeout: float = TRANSFER_SECONDS,  # noqa: ASYNC109
    ) -> bytes: ...

    @overload
    async def read(
        self,
        path: str,
        *,
        format: Literal["stream"],
        timeout: float = TRANSFER_SECONDS,  # noqa: ASYNC109
    ) -> AsyncIterator[bytes]: ...

    async def read(
        self,
        path: str,
        *,
        format: Literal["text", "bytes", "stream"] = "text",  # noqa: A002 - the name that users know
        timeout: float = TRANSFER_SECONDS,  # noqa: ASYNC109
    ) -> str | bytes | AsyncIterator[bytes]:
        """Read a whole file.

        Args:
            path: which.
            format: "text" decodes UTF-8, and raises UnicodeDecodeError for anything else; "bytes"; or "stream": pieces of
                bytes as they arrive, whose end raises FaultError when their hash is not what the daemon says.
            timeout: seconds for the whole transfer.
        """
        if format == "stream":
            return self._parts(path, timeout)
        whole = bytearray()
        async for part in self._parts(path, timeout):
            whole += part
        data = bytes(whole)
        return data.decode() if format == "text" else data

    async def download(
        self,
        path: str,
        to: str | os.PathLike[str],
        *,
        timeout: float = TRANSFER_SECONDS,  # noqa: ASYNC109
    ) -> FileInfo:
        """Copy a file to this side; it appears there whole or not at all.

        Args:
            path: which.
            to: where to, on this side: the caller's own choice, never a name that came out of the sandbox.
            timeout: seconds for the whole transfer.
        """
        content = Content()
        target = await in_thread(functools.partial(Target, to))
        with target:
            async for part in self._parts(path, timeout, content):
                await in_thread(functools.partial(target.write, part))
            await in_thread(target.keep)
        return _decode.file_info(content.file)

    async def _parts(self, path: str, timeout: float, content: Content | None = None) -> AsyncIterator[bytes]:  # noqa: ASYNC109
        content = content or Content()
        session = await self._session()
        request = pb.DownloadRequest(session_id=session.opened.session_id, path=path)
        call = session.connection.sandbox.Download(request, timeout=timeout)
        try:
            with rpc_errors():
                async for part in call:
                    if chunk := content.add(part):
                        yield chunk
        finally:
            call.cancel()  # for a caller that wants no more of it
        content.finish()

    async def list(self, path: str = ".") -> FileList:
        """List a directory, not recursively."""
        session = await self._session()
        request = pb.ListFilesRequest(session_id=session.opened.session_id, path=path)
        with rpc_errors():
            response = await session.connection.sandbox.ListFiles(request, timeout=self._request_seconds)
        entries = FileList(_decode.file_info(file) for file in response.files)
        entries.truncated = response.truncated
        return entries

    async def stat(self, path: str) -> FileInfo:
        """Tell size, kind and time of one path, without following links."""
        session = await self._session()
        request = pb.StatFileRequest(session_id=session.opened.session_id, path=path)
        with rpc_errors():
            response = await session.connection.sandbox.StatFile(request, timeout=self._request_seconds)
        return _decode.file_info(response.file)

    async def exists(self, path: str) -> bool:
        """Say whether there is something at the path."""
        try:
            await self.stat(path)
        except RefusedError as error:
            if error.code == "FILE_NOT_FOUND":
                return False
            raise
        return True

    async def remove(self, path: str) -> None:
        """Remove a file or an empty directory."""
        session = await self._session()
        request = pb.RemoveFileRequest(session_id=session.opened.session_id, path=path)
        with rpc_errors():
            await session.connection.sandbox.RemoveFile(request, timeout=self._request_seconds)

    async def rename(self, path: str, new_path: str) -> FileInfo:
        """Give a file or directory another name, in one step.

        Args:
            path: what.
            new_path: its name from now on; a file of that name is replaced, parents are made.
        """
        session = await self._session()
        request = pb.RenameFileRequest(session_id=session.opened.session_id, path=path, new_path=new_path)
        with rpc_errors():
            response = await session.connection.sandbox.RenameFile(request, timeout=self._request_seconds)
        return _decode.file_info(response.file)

    async def make_dir(self, path: str) -> FileInfo:
        """Make a directory with its parents; one that is there already is no error."""
        session = await self._session()
        request = pb.MakeDirectoryRequest(session_id=session.opened.session_id, path=path)
        with rpc_errors():
            response = await session.connection.sandbox.MakeDirectory(request, timeout=self._request_seconds)
        return _decode.file_info(response.file)
