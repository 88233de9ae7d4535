"""Files between a container and its daemon: each read or upload has a channel of its own, with its window."""

from __future__ import annotations

import errno
import os
from typing import Any, Callable, Dict, Optional

from sandboxd.jail import files, mux

Send = Callable[[bytes], None]


class Transfers:
    """The open reads and uploads of one container, at its init.

    Args:
        windows: the accounts of the stream.
        send: takes frames.
    """

    def __init__(self, windows: mux.Windows, send: Send) -> None:
        self._windows = windows
        self._send = send
        self._reads: Dict[int, int] = {}  # descriptors by channel
        self._writes: Dict[int, int] = {}
        self._upload_of: Dict[int, int] = {}
        self._failed: Dict[int, str] = {}  # errno names by upload

    @property
    def ready(self) -> bool:
        """Tell whether a read has room to go on."""
        return any(self._windows.room(channel) for channel in self._reads)

    def answer(self, message: mux.Order) -> None:
        """Carry out one file request."""
        upload = int(message.get("upload", 0))
        if message.get("do") == "commit" and upload in self._failed:
            failed = self._failed.pop(upload)
            if message.get("keep"):
                files.answer({**message, "keep": False}, as_guest=False)
                self._reply({"request": message.get("request"), "error": failed}, None, message)
                return
        reply, descriptor = files.answer(message, as_guest=False)
        self._reply(reply, descriptor, message)

    def _reply(self, reply: Dict[str, Any], descriptor: Optional[int], message: mux.Order) -> None:
        self._send(mux.order({**reply, "op": "file"}))
        if descriptor is None:
            return
        channel = int(message["channel"])
        if message.get("do") == "write":
            self._writes[channel] = descriptor
            self._upload_of[channel] = int(message.get("upload", 0))
        else:
            if message.get("do") in {"list", "changes"}:
                os.lseek(descriptor, 0, os.SEEK_SET)
            self._reads[channel] = descriptor

    def take(self, channel: int, data: bytes) -> None:
        """Write a piece of an upload; what fails is told at its commit."""
        fd = self._writes.get(channel)
        if fd is None:
            return  # dropped meanwhile
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        except OSError as error:
            self._failed[self._upload_of[channel]] = errno.errorcode.get(error.errno or 0, "EIO")
            self.drop(channel)
            self._send(mux.order({"op": "dropped", "channel": channel}))

    def pump(self) -> None:
        """Send the next piece of every read that has room."""
        for channel, fd in list(self._reads.items()):
            room = self._windows.room(channel)
            if not room:
                continue
            try:
                data = os.read(fd, room)
            except OSError:
                data = b""
            if data:
                self._windows.sent(channel, len(data))
                self._send(mux.frame(channel, data))
            else:
                self._send(mux.order({"op": "end", "channel": channel}))
                self.drop(channel)

    def drop(self, channel: int) -> None:
        """End a transfer. Idempotent."""
        fd = self._reads.pop(channel, None)
        if fd is None:
            fd = self._writes.pop(channel, None)
        self._upload_of.pop(channel, None)
        self._windows.forget(channel)
        if fd is not None:
            os.close(fd)
