"""What `files.write` sends. Size and hash come first, so data is read twice, never held twice."""

from __future__ import annotations

import hashlib
import io
import tempfile
from typing import IO, TYPE_CHECKING, Self, TypeAlias

from sandboxd_proto.v1 import sandbox_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

CHUNK_BYTES = 64 * 1024

Data: TypeAlias = "str | bytes | bytearray | memoryview | IO[bytes] | IO[str]"


class Payload:
    """Data to upload, with its size and SHA-256. A context manager: it may own a temporary file.

    Args:
        data: text (sent as UTF-8), bytes, or an open file, read from where it stands to its end.
    """

    def __init__(self, data: Data) -> None:
        self._owned: IO[bytes] | None = None
        self._source = self._binary(data)
        self._start = self._source.tell()
        digest = hashlib.sha256()
        self.size_bytes = 0
        for chunk in self._chunks():
            digest.update(chunk)
            self.size_bytes += len(chunk)
        self.sha256 = digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._owned is not None:
            self._owned.close()

    def requests(self, session_id: str, path: str) -> Iterator[pb.UploadRequest]:
        """Return the messages of one upload."""
        start = pb.UploadStart(
            session_id=session_id, path=path, size_bytes=self.size_bytes, sha256=self.sha256
        )
        yield pb.UploadRequest(start=start)
        self._source.seek(self._start)
        for chunk in self._chunks():
            yield pb.UploadRequest(chunk=chunk)

    def _chunks(self) -> Iterator[bytes]:
        while chunk := self._source.read(CHUNK_BYTES):
            yield chunk

    def _binary(self, data: Data) -> IO[bytes]:
        """Return a seekable binary file with the data."""
        if isinstance(data, str):
            return io.BytesIO(data.encode())
        if isinstance(data, bytes | bytearray | memoryview):
            return io.BytesIO(data)
        if isinstance(data, io.RawIOBase | io.BufferedIOBase) and data.seekable():
            return data
        self._owned = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        while piece := data.read(CHUNK_BYTES):
            self._owned.write(piece.encode() if isinstance(piece, str) else piece)
        self._owned.seek(0)
        return self._owned
