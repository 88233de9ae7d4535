"""What a download brings: held to the size that was declared first and to the hash that comes last."""

from __future__ import annotations

import hashlib

from sandboxd_proto.v1 import sandbox_pb2 as pb

from ._status import protocol_error
from .errors import FaultError


class Content:
    """Checks the parts of one download as they come; keeps none of them."""

    def __init__(self) -> None:
        self._declared: int | None = None
        self._received = 0
        self._digest = hashlib.sha256()
        self._sha256 = ""
        self.file = pb.FileInfo()

    def add(self, part: pb.DownloadResponse) -> bytes:
        """Take the next part and return the bytes in it.

        Raises:
            FaultError: it is more than was declared.
        """
        kind = part.WhichOneof("part")
        if kind == "file":
            self._declared, self.file = part.file.size_bytes, part.file
        elif kind == "sha256":
            self._sha256 = part.sha256
        elif kind == "chunk":
            self._received += len(part.chunk)
            # A sandboxed program may still be writing: never take more than was announced.
            if self._declared is None or self._received > self._declared:
                raise protocol_error("The daemon sent more of a file than it declared.")
            self._digest.update(part.chunk)
            return part.chunk
        return b""

    def finish(self) -> None:
        """See that size and hash are right.

        Raises:
            FaultError: FILE_HASH_MISMATCH.
        """
        if self._received != self._declared or self._digest.hexdigest() != self._sha256:
            raise FaultError(
                "FILE_HASH_MISMATCH",
                "What arrived is not what was declared.",
                remedy="Read it again; a program may have been writing to it.",
            )
