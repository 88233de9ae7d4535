"""pid 1's side of a fork: it passes the order and the descriptors on, and learns who was born.

A nursery is a private SEQPACKET pair between pid 1 and one member. It is read only from the order until one answer came, and
only so many bytes: `SCM_CREDENTIALS` says which process answers, whatever it says of itself, and descriptors that a hostile
guest sends find no room beside them and are dropped by the kernel.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from typing import Any, Dict, List, Tuple

from sandboxd.jail import wire
from sandboxd.jail.family import Family, Guest, Tell

MAX_ANSWER_BYTES = 2048
MAX_DETAIL = 500
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
CODES = ("refused", "failed")


class Births:
    """Clones that were ordered and not answered yet, by the descriptor of their nursery.

    Args:
        family: the members.
        tell: sends a message to the launcher.
    """

    def __init__(self, family: Family, tell: Tell) -> None:
        self._family = family
        self._tell = tell
        self._pending: Dict[int, Tuple[Dict[str, Any], socket.socket]] = {}

    def watched(self) -> List[int]:
        """Return the descriptors to be polled for reading."""
        return list(self._pending)

    def order(self, message: wire.Message, fds: List[int]) -> None:
        """Pass an order on to a member, with the clone's end of a nursery of its own."""
        ours, theirs = nursery()
        with theirs:
            parent = self._family.guests.get(message["parent"])
            order = {
                name: message[name] for name in ("number", "kind", "home", "workdir", "source", "target")
            }
            try:
                if parent is not None and parent.pid:
                    wire.send(parent.nursery, {"op": "clone", **order}, (*fds, theirs.fileno()))
            except OSError as error:  # its queue is full of orders that it never took, or it closed its end
                ours.close()
                self._answer(message, "failed", "the interpreter takes no orders: %s" % error)
                return
        self._pending[ours.fileno()] = message, ours

    def catch_up(self) -> None:
        """Take the answers that are there: who is born must be known before others are swept."""
        if not self._pending:
            return
        poll = select.poll()
        for fd in self._pending:
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(0):
            self.hear(fd)

    def hear(self, fd: int) -> None:
        """Take the answer to an order."""
        message, sock = self._pending.pop(fd)
        code, detail, pid = _read(sock)
        if not code and (self._family.holds(pid) or not _is_child(pid)):
            code, detail = "failed", "another process answered for the clone"
        pidfd = -1
        if not code:
            try:
                pidfd = os.pidfd_open(pid)  # it is our child and not reaped: the pid is its own
            except OSError as error:
                code, detail = "failed", str(error)
        if code:
            sock.close()
            self._answer(message, code, detail)
            return
        self._family.put(message["member"], Guest(pid, sock, message["workdir"]))
        self._tell({"op": "born", "member": message["member"], "code": ""}, (pidfd,))
        os.close(pidfd)

    def forget(self, member: int) -> None:
        """Give up on a clone: whoever is born later finds nobody to tell, and ends."""
        for fd, (message, sock) in list(self._pending.items()):
            if message["member"] == member:
                del self._pending[fd]
                sock.close()

    def _answer(self, message: wire.Message, code: str, detail: str) -> None:
        self._tell({"op": "born", "member": message["member"], "code": code, "detail": detail[:MAX_DETAIL]})


def nursery() -> Tuple[socket.socket, socket.socket]:
    """Return pid 1's end, which never blocks and is told who sends, and the guest's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return ours, theirs


def _read(sock: socket.socket) -> Tuple[str, str, int]:
    """Return (why there is no clone, the reason in words, who answered)."""
    raw, ancillary = b"", list[Any]()
    with contextlib.suppress(OSError):
        raw, ancillary, _, _ = sock.recvmsg(MAX_ANSWER_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
    if not raw:
        return "failed", "the interpreter ended, has closed its descriptors, or has room for no more", 0
    message = wire.parse(raw)
    if message is None:
        return "failed", "the answer is none", 0
    if message["op"] != "born":
        code = message.get("code")
        return (code if code in CODES else "failed"), str(message.get("detail", ""))[:MAX_DETAIL], 0
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return "", "", _CREDENTIALS.unpack(data[: _CREDENTIALS.size])[0]
    return "failed", "the kernel does not say who answered", 0


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (OSError, ValueError):
        return False
    return pid > 0
