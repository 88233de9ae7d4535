"""pid 1 of a box: builds it, starts the guest, reaps, serves file operations, and is the lease.

It runs no untrusted code. When its socket to the launcher reaches end of file (launcher killed, box closed) it exits, and
the kernel kills everything else in the pid namespace: nothing has to be found and nothing can be missed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from typing import Any, Callable, Dict, List, NoReturn, Optional

from sandboxd.jail import cradle, files, groups, kernel, lockdown, mounts, wire
from sandboxd.jail.births import Births, nursery
from sandboxd.jail.family import Family, Guest

Serve = Callable[[socket.socket, Dict[str, Any], cradle.Cradle], Any]

# What pid 1 keeps after checkout: enough to start the next guest, and to kill the last one's leftovers.
CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP = 5, 6, 7, 8
GUEST_FDS = 3  # stdout, stderr, control; the nursery is made here
_SIGNALS = {"rest": signal.SIGSTOP, "wake": signal.SIGCONT}
KEPT_CAPS = 1 << CAP_KILL | 1 << CAP_SETGID | 1 << CAP_SETUID | 1 << CAP_SETPCAP


class Supervisor:
    """The state of pid 1. Single-threaded; everything happens between two polls."""

    def __init__(self, sock: socket.socket, config: Dict[str, Any], serve: Serve) -> None:
        self.sock = sock
        self.config = config
        self.serve = serve
        self.family = Family(self._tell)
        self.births = Births(self.family, self._tell)
        self.family.catch_up = self.births.catch_up
        self.order: Dict[str, Any] = {}
        self.wake_read, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> NoReturn:
        """Build the box, then serve until the lease ends. Never returns."""
        try:
            self._build()
            self._loop()
        except EOFError:
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  whatever it is, the launcher must hear of it
            self._tell({"op": "failed", "detail": "%s: %s" % (type(error).__name__, error)})
            os._exit(71)

    def _tell(self, message: wire.Message, fds: "tuple[int, ...]" = ()) -> None:
        try:
            wire.send(self.sock, message, fds)
        except OSError:
            os._exit(0)  # nobody holds the lease any more

    # ---- building -------------------------------------------------------------------------------------------

    def _build(self) -> None:
        message, fds = wire.receive(self.sock)  # "mapped": ids written; the guest's descriptors, then cgroups
        guest_fds, joins = fds[:GUEST_FDS], fds[GUEST_FDS:]
        group = joins.pop() if message["guest_group"] else None  # kept for each guest, which closes it
        groups.join(joins)  # before all else: limits cover the set-up too
        _close(joins)
        report: wire.Message = {"op": "built", "cgroup_namespace": True, "no_nested_userns": True}
        try:
            kernel.unshare(kernel.CLONE_NEWCGROUP)
        except OSError as error:
            report["cgroup_namespace"] = str(error)
        sources = mounts.open_sources(self.config["layout"])
        if message["switch_ids"]:
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)  # from the host's uid 0 to the box's: a different, unused id of the host
        lockdown.prefer_for_oom(500)
        try:
            with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as file:
                file.write("0")
        except OSError as error:
            report["no_nested_userns"] = str(error)
        os.umask(0o022)
        scratch = mounts.build_root(self.config["layout"], sources, lockdown.GUEST_UID)
        mounts.enter_root()
        kernel.sethostname("sandbox")
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        self.order = {
            "limits": None,
            "group": group,
            "switch_ids": bool(message["switch_ids"]),
            "guest_filter": self.config["guest_filter"],
            "roots": cradle.roots(),
        }
        self._handle_signals()
        self._tell(report, (scratch,))
        os.close(scratch)
        # Now, not at check-out: a waiting box has its guest locked down and ready.
        self._start_guest(
            {"member": message["member"], "home": mounts.CLONES, "workdir": mounts.WORK}, guest_fds
        )
        _close(guest_fds)
        self._filter_self()

    # ---- serving --------------------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the wake-up descriptor is written
        kernel.ignore_child_stops()
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)

    def _loop(self) -> NoReturn:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(self.wake_read, select.POLLIN)
        while True:
            unborn = self.births.watched()
            for fd in unborn:
                poll.register(fd, select.POLLIN)
            ready = dict(poll.poll())
            for fd in unborn:
                poll.unregister(fd)
                if fd in ready:
                    self.births.hear(fd)
            if self.wake_read in ready:
                os.read(self.wake_read, 512)
                self.family.reap()
            if self.sock.fileno() in ready:
                message, fds = wire.receive(self.sock)
                self._handle(message, fds)

    def _handle(self, message: wire.Message, fds: List[int]) -> None:
        op = message["op"]
        if op == "checkout":
            self._checkout(int(message["disk_bytes"]), int(message["files"]))
        elif op in _SIGNALS:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, _SIGNALS[op])
        elif op == "file":
            place = self.family.workdir(int(message["box"]))
            reply, descriptor = files.answer(message, as_guest=self.order["switch_ids"], place=place)
            self._tell(reply, (descriptor,) if descriptor is not None else ())
            if descriptor is not None:
                os.close(descriptor)
        else:
            self._handle_member(message, fds)
        _close(fds)

    def _handle_member(self, message: wire.Message, fds: List[int]) -> None:
        op, member = message["op"], int(message["member"])
        if op == "respawn":
            self.family.sweep(member)
            self.order["limits"] = message["limits"]
            self._start_guest(message, fds)
        elif op == "sweep":
            self.family.sweep(member)
        elif op == "halt":
            self.family.sweep(member)
            self._tell({"op": "halted", "member": member})
        elif op == "fork":
            self.births.order(message, fds)
        elif op == "unfork":
            self.births.forget(member)
        elif op == "end":
            self.family.end([member, *message["with"]])
            files.drop_uploads([member, *message["with"]])
            self._tell({"op": "ended", "member": member})
        if message.get("remove"):
            self.family.remove(message["remove"], switch_ids=self.order["switch_ids"])

    def _checkout(self, disk_bytes: int, files: int) -> None:
        """Size the file system, the one thing of a policy that takes this process to set."""
        mounts.size_scratch(disk_bytes, files)
        kernel.capset(KEPT_CAPS, KEPT_CAPS, 0)  # nothing is left to mount
        self._tell({"op": "checked_out"})

    def _filter_self(self) -> None:
        """Give up the calls that pid 1 needed for building. The filter also lies below that of guests forked from now on."""
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.load_seccomp(self.config["supervisor_filter"])

    def _start_guest(self, place: Dict[str, Any], fds: List[int]) -> None:
        """Start the guest of a member: `place` says its number, its home and where it works."""
        report_read, report_write = os.pipe2(os.O_CLOEXEC)
        ours, theirs = nursery()
        pid = os.fork()
        if pid == 0:
            _guest(self, place, [*fds, theirs.fileno()], report_write)
        theirs.close()
        leads = place["home"] != mounts.CLONES  # see `lockdown`
        self.family.put(place["member"], Guest(pid, ours, place["workdir"], leads=leads))
        os.close(report_write)
        with open(report_read, "rb") as file:
            report = file.read(4096).decode("ascii", "replace")
        pidfd = os.pidfd_open(pid)
        self._tell({"op": "started", "member": place["member"], "report": report}, (pidfd,))
        os.close(pidfd)


def _close(fds: List[int]) -> None:
    for fd in fds:
        os.close(fd)


def _guest(supervisor: Supervisor, place: Dict[str, Any], fds: List[int], report: int) -> NoReturn:
    """Be the guest: lock down, report, run. Never returns."""
    step: Optional[Dict[str, Any]] = None
    try:
        step = lockdown.lock_down({**supervisor.order, **place}, fds, report)
        text = ",".join("%s=%s" % item for item in step.items())
    except BaseException as error:  # noqa: BLE001
        text = "error=%s: %s" % (type(error).__name__, error)
    # arrange_descriptors moved the report pipe to NURSERY_FD + 1, unless it was what failed.
    pipe = lockdown.NURSERY_FD + 1 if step is not None else report
    try:
        os.write(pipe, text.encode("ascii", "replace"))
    except OSError:
        os._exit(72)
    os.close(pipe)
    if step is None:
        os._exit(70)
    try:
        control = socket.socket(fileno=lockdown.CONTROL_FD)
        settings = {**supervisor.config["guest_settings"], "workdir": place["workdir"]}
        supervisor.serve(control, settings, cradle.Cradle(supervisor.order["roots"]))
    finally:
        os._exit(73)
