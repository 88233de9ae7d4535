"""The bytes of an upload or a download: in pieces, hashed on the way, bounded by what was declared and by the policy.

Reads and writes of the box's files happen in threads: a tmpfs under memory pressure may block, and the event loop must not.
An upload becomes visible only when size and hash are what was declared; whatever ends it earlier removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.service.convert import file_message

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sandboxd.executors.base import Box, FileStat
    from sandboxd.service.context import Context
    from sandboxd.sessions import Session

CHUNK_BYTES = 256 << 10
_BATCH_BYTES = 1 << 20  # one thread hop for so much, and one of them in memory beside the next
_CHUNK_WAIT_SECONDS = 60.0
_PATH_MAX = 4096
_SHA256 = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")
_R = TypeVar("_R")


async def upload_start(context: Context) -> pb.UploadStart:
    """Read and check how an upload begins."""
    first = await _part(context)
    if first is grpc.aio.EOF or first.WhichOneof("part") != "start":
        raise _invalid("An upload begins with its start.")
    if _SHA256.fullmatch(first.start.sha256) is None:
        raise _invalid("The start of an upload names the file's SHA-256 in lower-case hexadecimal.")
    checked_path(first.start.path)
    start: pb.UploadStart = first.start
    return start


async def _part(context: Context) -> Any:
    try:
        async with asyncio.timeout(_CHUNK_WAIT_SECONDS):
            return await context.read()
    except TimeoutError:
        raise _invalid(f"The upload stood still for {_CHUNK_WAIT_SECONDS:g} s.") from None


async def upload(session: Session, start: pb.UploadStart, context: Context) -> FileStat:
    """Take the bytes of an upload into the box; the file appears whole or not at all."""
    limit = session.facts.limits.disk_bytes
    if start.size_bytes > limit:
        raise _too_large(start.size_bytes, limit)
    descriptor, _ = await opened(session.box, start.path, "w")
    keep = False
    try:
        try:
            digest = await _receive(descriptor, start.size_bytes, context)
        finally:
            os.close(descriptor)
        if digest != start.sha256:
            raise SandboxdError(
                Code.FILE_HASH_MISMATCH,
                "The bytes received have another SHA-256 than declared.",
                remedy="Send the file again.",
            )
        keep = True
    finally:
        # Shielded: a client that leaves now must not leave a temporary behind.
        stat = await asyncio.shield(session.box.commit_file(start.path, keep=keep))
    assert stat is not None
    return stat


async def opened(box: Box, path: str, mode: str) -> tuple[int, FileStat]:
    """Open a file of the box; a client that leaves meanwhile leaves neither descriptor nor temporary."""
    opening = asyncio.ensure_future(box.open_file(path, mode))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with contextlib.suppress(SandboxdError):
            descriptor, _ = await opening
            os.close(descriptor)
            if mode == "w":
                await box.commit_file(path, keep=False)
        raise


async def _receive(descriptor: int, size_bytes: int, context: Context) -> str:
    """Write the declared number of bytes, never more, and return their hash."""
    ahead, received, batch, held = _Ahead(), 0, list[bytes](), 0
    digest = hashlib.sha256()
    try:
        while (request := await _part(context)) is not grpc.aio.EOF:
            chunk = request.chunk if request.WhichOneof("part") == "chunk" else b""
            received += len(chunk)
            if not chunk or len(chunk) > CHUNK_BYTES or received > size_bytes:
                raise _invalid(
                    f"After its start an upload is chunks of 1 to {CHUNK_BYTES} bytes, {size_bytes} in all."
                )
            batch.append(chunk)
            held += len(chunk)
            if held >= _BATCH_BYTES:
                await ahead.result()
                ahead.start(_in_thread(_write, descriptor, (batch, digest)))
                batch, held = [], 0
        if received != size_bytes:
            raise _invalid(f"The upload ended after {received} of {size_bytes} bytes.")
        await ahead.result()
        await _in_thread(_write, descriptor, (batch, digest))
        return digest.hexdigest()
    finally:
        ahead.abandon()


async def download(session: Session, descriptor: int, stat: FileStat, context: Context) -> str:
    """Send what fstat promised, never more: a growing file has no end, a sparse one no measure."""
    limit = session.facts.limits.disk_bytes
    if stat.size_bytes > limit:
        raise _too_large(stat.size_bytes, limit)
    await context.write(pb.DownloadResponse(file=file_message(stat)))
    digest, left, ahead = hashlib.sha256(), stat.size_bytes, _Ahead()
    try:
        while left:
            batch = await ahead.result() or await _in_thread(_read, descriptor, (left, digest))
            left -= len(batch)
            if left and batch:
                ahead.start(_in_thread(_read, descriptor, (left, digest)))
            if not batch:
                raise SandboxdError(
                    Code.FILE_FAILED,
                    "The file shrank while it was read.",
                    remedy="Read it again when it is written.",
                )
            await _send(batch, context)
    finally:
        ahead.abandon()
    await context.write(pb.DownloadResponse(sha256=digest.hexdigest()))
    return digest.hexdigest()


async def _send(batch: bytes, context: Context) -> None:
    try:
        async with asyncio.timeout(_CHUNK_WAIT_SECONDS):
            for at in range(0, len(batch), CHUNK_BYTES):
                await context.write(pb.DownloadResponse(chunk=batch[at : at + CHUNK_BYTES]))
    except TimeoutError:
        raise _invalid(f"The download stood still for {_CHUNK_WAIT_SECONDS:g} s.") from None


class _Ahead:
    """One piece of work that goes on in a thread while the connection is served. Results are taken in turn."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        self._task = asyncio.create_task(work)

    async def result(self) -> Any:
        """Wait for what was started; None where nothing was."""
        task, self._task = self._task, None
        return None if task is None else await task

    def abandon(self) -> None:
        """Nobody wants it any more; it has a descriptor of its own and ends by itself."""
        if self._task is not None:
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())


def _write(descriptor: int, work: tuple[list[bytes], hashlib._Hash]) -> None:
    batch, digest = work
    for chunk in batch:
        digest.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]


def _read(descriptor: int, work: tuple[int, hashlib._Hash]) -> bytes:
    left, digest = work
    batch = os.read(descriptor, min(left, _BATCH_BYTES))
    digest.update(batch)
    return batch


async def _in_thread(call: Callable[[int, _T], _R], descriptor: int, argument: _T) -> _R:
    """Call in a thread with a descriptor of its own.

    A cancelled task goes on and closes its descriptor while the thread still runs; the number could by then
    name another file, and one session's bytes would go into another's.
    """
    own = os.dup(descriptor)

    def run() -> _R:
        try:
            return call(own, argument)
        finally:
            os.close(own)

    try:
        return await asyncio.to_thread(run)
    except OSError as error:
        raise SandboxdError(
            Code.FILE_FAILED,
            f"The box's file system answered: {error.strerror}.",
            remedy="Free space below /work, or choose a policy with a larger disk limit.",
        ) from error


def checked_path(path: str) -> str:
    """Refuse what cannot be a path; the box's own rules come later."""
    if not path or len(path) > _PATH_MAX or "\0" in path:
        raise SandboxdError(
            Code.FILE_PATH_INVALID,
            f"A path has 1 to {_PATH_MAX} characters, none of them NUL.",
            remedy="Give a path relative to /work.",
        )
    return path


def _too_large(size_bytes: int, limit: int) -> SandboxdError:
    return SandboxdError(
        Code.FILE_TOO_LARGE,
        f"The file has {size_bytes} bytes; the session's disk limit is {limit}.",
        remedy="Split it, or choose a policy with a larger disk limit.",
        limit="disk_bytes",
    )


def _invalid(message: str) -> SandboxdError:
    return SandboxdError(
        Code.INVALID_REQUEST, message, remedy="See the wire contract.", failure=FailureClass.NOT_STARTED
    )
