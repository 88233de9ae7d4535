"""What `files.write` sends. Size and hash come first, so data is read twice, never held twice."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, TypeAlias, cast

from sandboxd_proto.v1 import sandbox_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

CHUNK_BYTES = 256 * 1024

Data: TypeAlias = (
    "str | bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes] | IO[str] | Iterable[str | bytes]"
)


class Payload:
    """Data to upload, with its size and SHA-256. A context manager: it may own a temporary file.

    Args:
        data: text (sent as UTF-8), bytes, a path, an open file, read from where it stands to its end, or pieces from an
            iterator.
        owned: whether to close it in the end.
    """

    def __init__(self, data: Data, *, owned: bool = False) -> None:
        self._owned: IO[bytes] | None = None
        self._source = self._binary(data)
        if owned:
            self._owned = self._source
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
            return cast("IO[bytes]", data)
        if isinstance(data, os.PathLike):
            self._owned = Path(data).open("rb")  # noqa: SIM115 - closed by __exit__
        else:
            self._owned = spooled(_pieces(data))
        return self._owned


def spooled(pieces: Iterable[str | bytes]) -> IO[bytes]:
    """Keep pieces in a temporary file, for what can be read once must be read twice."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who asked for it
    for piece in pieces:
        append(file, piece)
    file.seek(0)
    return file


def append(file: IO[bytes], piece: str | bytes) -> None:
    """Write a piece, text as UTF-8."""
    file.write(piece.encode() if isinstance(piece, str) else piece)


def _pieces(data: IO[bytes] | IO[str] | Iterable[str | bytes]) -> Iterator[str | bytes]:
    if not hasattr(data, "read"):
        yield from data
        return
    while piece := data.read(CHUNK_BYTES):
        yield piece


class Target:
    """A file of this side in the making. A context manager; what is not kept in the end is removed."""

    def __init__(self, to: str | os.PathLike[str]) -> None:
        self._to = Path(to)
        # Beside it, so that putting it in place is one rename.
        self._file = tempfile.NamedTemporaryFile(dir=self._to.parent, prefix=".sandboxd-", delete=False)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)

    def write(self, piece: bytes) -> None:
        """Append."""
        self._file.write(piece)

    def keep(self) -> None:
        """Give the file its name."""
        self._file.close()
        Path(self._file.name).replace(self._to)
