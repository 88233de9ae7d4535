"""Files of a container: each read and upload is a channel, and a pipe for whoever asked."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from dataclasses import dataclass, field

from sandboxd.executors.container_pipes import Inward, Outward
from sandboxd.executors.container_stream import Stream
from sandboxd.jail import mux
from sandboxd.launcher import protocol

ANSWER_SECONDS = 30.0
MAX_LISTING_BYTES = 32 << 20

_Done = tuple[protocol.FileDone, list[int]]


@dataclass(slots=True)
class _Asked:
    message: protocol.File
    channel: int
    done: asyncio.Future[_Done]
    listing: bytearray = field(default_factory=bytearray)


class ContainerFiles:
    """The file operations under way in one container. State is touched on the event loop only."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._channels = itertools.cycle(range(mux.FIRST_TRANSFER, mux.LAST_CHANNEL + 1))
        self._asked: dict[int, _Asked] = {}
        self._listings: dict[int, _Asked] = {}
        self._reads: dict[int, Inward] = {}
        self._writes: dict[int, Outward] = {}
        self._sent: dict[int, asyncio.Event] = {}  # by upload: all of it is on its way
        self._over = False

    async def ask(self, message: protocol.File) -> _Done:
        """Carry out one operation; the descriptors are the caller's."""
        if self._over:
            return protocol.FileDone(message.request, "ESTALE"), []
        if message.do == "commit" and (sent := self._sent.pop(message.upload, None)) is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await sent.wait()
        asked = _Asked(message, next(self._channels), asyncio.get_running_loop().create_future())
        self._asked[message.request] = asked
        self._stream.order({**protocol.encode(message), "op": "file", "channel": asked.channel})
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asked.done
        except TimeoutError:
            return protocol.FileDone(message.request, "ETIMEDOUT"), []
        finally:
            self._asked.pop(message.request, None)
            self._listings.pop(asked.channel, None)

    # ---- hearing --------------------------------------------------------------------------------------------

    def told(self, order: mux.Order) -> None:
        """Take init's answer. In this turn: the first bytes may come right behind it."""
        asked = self._asked.get(int(order["request"]))
        if asked is None or asked.done.done():
            return
        stat, error = order.get("stat", {}), str(order.get("error", ""))
        done = protocol.FileDone(asked.message.request, error, stat if isinstance(stat, dict) else {})
        fds: list[int] = []
        if not error and asked.message.do in {"list", "changes"}:
            self._listings[asked.channel] = asked
            return  # answered at its end
        if not error and asked.message.do == "read":
            fds.append(self._open_read(asked.channel))
        elif not error and asked.message.do == "write":
            fds.append(self._open_write(asked.channel, asked.message.upload))
        asked.done.set_result((done, fds))

    def _open_read(self, channel: int) -> int:
        ours, theirs = os.pipe2(os.O_CLOEXEC)[::-1]
        self._reads[channel] = Inward(self._stream, channel, ours, lambda: self._drop(channel))
        return theirs

    def _open_write(self, channel: int, upload: int) -> int:
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        sent = self._sent[upload] = asyncio.Event()

        def finished() -> None:
            self._writes.pop(channel, None)
            self._stream.order({"op": "end", "channel": channel})
            self._stream.forget(channel)
            sent.set()

        self._writes[channel] = Outward(self._stream, channel, ours, finished)
        return theirs

    def data(self, channel: int, data: bytes) -> None:
        """Take bytes of a read."""
        if channel in self._listings:
            asked = self._listings[channel]
            asked.listing += data
            if len(asked.listing) > MAX_LISTING_BYTES:
                raise ValueError("a listing without an end")
            self._stream.passed_on(channel, len(data))
        elif channel in self._reads:
            self._reads[channel].take(data)

    def room(self, channel: int) -> None:
        """A channel's window has opened."""
        if channel in self._writes:
            self._writes[channel].room()

    def ended(self, channel: int) -> None:
        """Init has sent all of a read."""
        self._stream.forget(channel)
        if (read := self._reads.pop(channel, None)) is not None:
            read.end()
        if (asked := self._listings.pop(channel, None)) is not None and not asked.done.done():
            memory = os.memfd_create("list", os.MFD_CLOEXEC)
            with open(memory, "wb", closefd=False) as file:
                file.write(asked.listing)
            asked.done.set_result((protocol.FileDone(asked.message.request, ""), [memory]))

    def dropped(self, channel: int) -> None:
        """Init takes no more of an upload: its writer is told by its pipe, and by the commit."""
        if (write := self._writes.pop(channel, None)) is not None:
            write.close()
            self._stream.forget(channel)
        for sent in self._sent.values():
            sent.set()

    def _drop(self, channel: int) -> None:
        self._reads.pop(channel, None)
        self._stream.order({"op": "drop", "channel": channel})
        self._stream.forget(channel)

    def close(self) -> None:
        """The container is gone: end everything. Idempotent."""
        self._over = True
        for read in self._reads.values():
            read.close()
        for write in self._writes.values():
            write.close()
        self._reads.clear()
        self._writes.clear()
        for sent in self._sent.values():
            sent.set()
        for asked in self._asked.values():
            if not asked.done.done():
                asked.done.set_result((protocol.FileDone(asked.message.request, "ESTALE"), []))
