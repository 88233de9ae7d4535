"""pid 1 of a container: warms an interpreter, forks the guest, reaps, carries one stream, and is the lease.

The engine has built the container, by `sandboxd.broker.spec`; nothing here is privileged, and nothing here is what keeps
the guest in. Its daemon holds the other end of the stream: when that closes, or says nothing for LEASE_SECONDS (a killed
engine leaves the pipes open), this process ends, and the container with it.

The guest has this process's user id: another one would take a capability. This process is not dumpable, and the guest's
filter refuses ptrace, so it is out of reach. A guest that gets hold of it all the same has won its own container, in which
it was already: time, causes and usage are measured outside.
"""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import select
import signal
import socket
import stat
import sys
import time
from typing import Any, Callable, Dict, List, NoReturn, Optional

import sandboxd.guest
from sandboxd.jail import kernel, lockdown, mux
from sandboxd.jail.container_kernel import all_stopped, fit_to_kernel, in_pipe, is_stopped
from sandboxd.jail.container_lockdown import lock_down
from sandboxd.jail.transfers import Transfers

LEASE_SECONDS = 20.0  # without a word; the daemon speaks every five
READ_BYTES = 65536
STDIN, STDOUT = 0, 1
_OUTPUTS = (mux.STDOUT, mux.STDERR)
# What a cell printed before its result goes before it, for so long at most: a flood is let through slowly by the daemon.
_HOLD_SECONDS = 0.25
_REST_SECONDS = (
    0.002  # the guest stays awake after a result, as in the process tier: who loops needs no signals
)
_LOOK_SECONDS = 0.02  # between two looks at whether the guest woke
_SETTLE_SECONDS = 0.2  # for a stop to take hold before it is undone
_LAST_BYTES = 65536  # of each pipe, when the guest is dead: what a pipe holds


def main(root: str) -> NoReturn:
    """Serve until the lease ends. Never returns. `root` is where this package was mounted."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # at once: an engine that stops gives ten seconds
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        _Init(root).run()
    except (EOFError, BrokenPipeError):
        os._exit(0)
    except BaseException as error:  # noqa: BLE001  the daemon reads it, bounded, from stderr
        os.write(2, ("%s: %s" % (type(error).__name__, error)).encode("utf-8", "replace")[:2000])
        os._exit(71)


class _Init:
    """The state of pid 1. Single-threaded; everything happens between two polls."""

    def __init__(self, root: str) -> None:
        self.splitter = mux.Splitter()
        self.windows = mux.Windows()
        self.transfers = Transfers(self.windows, self.send)
        self.out = bytearray()  # what the stream would not take yet
        self.heard = time.monotonic()
        self.guest = self.generation = 0
        self.ends: Dict[int, int] = {}  # the guest's control, stdout, stderr, by channel
        self.owed = bytearray()  # for the guest's control socket
        self.due: Dict[int, int] = {}  # bytes of each output that go before what the control socket has
        self.hold_until = 0.0  # 0: the control socket has nothing
        self.rest_at = 0.0  # when to stop the guest; 0: it is not to be, or is already
        self.wake_until = 0.0  # 0: the guest has been heard of since it was woken
        self.settle_until = 0.0  # 0: nothing waits for a stop to take hold
        self.wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        kernel.ignore_child_stops()
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self.config = self._first_order()
        self.serve = self._warm(root)

    def _first_order(self) -> mux.Order:
        """Wait for "start", which says all that is to be known."""
        while True:
            data = os.read(STDIN, READ_BYTES)
            if not data:
                raise EOFError
            for channel, payload in self.splitter.feed(data):
                if channel == mux.ORDERS:
                    return mux.parse_order(payload)

    def _warm(self, root: str) -> Callable[[socket.socket, Dict[str, Any]], Any]:
        sys.path += [str(path) for path in self.config["sys_path"]]
        sandboxd.guest.warm(self.config["guest_settings"])
        sys.path[:] = [entry for entry in sys.path if entry != root]
        fit_to_kernel()
        gc.collect()
        gc.freeze()
        return sandboxd.guest.serve

    def run(self) -> NoReturn:
        """Start the guest and serve the stream."""
        os.set_blocking(STDIN, False)
        os.set_blocking(STDOUT, False)
        self._start_guest()
        while True:
            ready = {fd for fd, _ in self._poll().poll(self._patience())}
            if time.monotonic() - self.heard > LEASE_SECONDS:
                raise EOFError
            if STDOUT in ready:
                self._flush()
            if self.wake_read in ready:
                os.read(self.wake_read, 512)
                self._reap()
            self._from_guest(ready)
            if STDIN in ready:
                self._from_daemon()
            self._rest_or_wake()
            if self.transfers.ready and not self.out:
                self.transfers.pump()

    def _patience(self) -> float:
        """Return milliseconds to wait for."""
        if self.transfers.ready and not self.out:
            return 0
        if self.settle_until:
            return 1
        if until := self.rest_at or self.hold_until:
            return max(0.0, (until - time.monotonic()) * 1000) + 1
        if self.wake_until:
            return _LOOK_SECONDS * 1000
        return LEASE_SECONDS * 250  # four looks a lease

    def _poll(self) -> "select.poll":
        poll = select.poll()
        poll.register(STDIN, select.POLLIN)
        poll.register(self.wake_read, select.POLLIN)
        if self.out:
            poll.register(STDOUT, select.POLLOUT)
            return poll  # the daemon is slow: take nothing more from the guest
        for channel, fd in self.ends.items():
            held = channel == mux.CONTROL and self.hold_until
            wanted = select.POLLIN if self.windows.room(channel) and not held else 0
            if channel == mux.CONTROL and self.owed:
                wanted |= select.POLLOUT
            if wanted:
                poll.register(fd, wanted)
        return poll

    # ---- the stream -----------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send frames, or keep them until the stream takes them."""
        self.out += data
        self._flush()

    def _flush(self) -> None:
        while self.out:
            try:
                sent = os.write(STDOUT, self.out)
            except BlockingIOError:
                return
            del self.out[:sent]

    def _from_daemon(self) -> None:
        data = os.read(STDIN, READ_BYTES)
        if not data:
            raise EOFError
        self.heard = time.monotonic()
        for channel, payload in self.splitter.feed(data):
            if channel == mux.ORDERS:
                self._obey(mux.parse_order(payload))
            elif channel == mux.GRANTS:
                self.windows.granted(*mux.parse_grant(payload))
            elif channel == mux.CONTROL:
                self.owed += payload
                self._to_guest()
            else:
                self.transfers.take(channel, payload)
                self.send(self.windows.passed_on(channel, len(payload)))

    def _obey(self, message: mux.Order) -> None:
        op = message["op"]
        if op == "file":
            self.transfers.answer(message)
        elif op == "lease":
            return  # to be heard was all
        elif op in {"end", "drop"}:
            self.transfers.drop(int(message["channel"]))
        elif op == "interrupt":
            with contextlib.suppress(ProcessLookupError):
                if self.guest:
                    os.kill(self.guest, signal.SIGINT)
        elif op == "rest":
            self.rest_at, self.wake_until = time.monotonic() + _REST_SECONDS, 0.0
        elif op == "wake":
            self._wake()
        elif op == "kill":
            self._sweep()
        elif op == "respawn":
            self._sweep()
            self._start_guest()

    # ---- rest -----------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self.rest_at:
            self.rest_at = 0.0  # it was not stopped yet
            return
        now = time.monotonic()
        self.wake_until, self.settle_until = now + LEASE_SECONDS, now + _SETTLE_SECONDS
        self._rest_or_wake()

    def _rest_or_wake(self) -> None:
        """Stop the guest when it is time to, or wake it, and look whether it did.

        gVisor (runsc 20221219) can lose a SIGCONT that comes right behind a SIGSTOP. Measured: of 28,891 such pairs, eight
        left a process standing: five woke by the next SIGCONT, three by none. Of 18,561 that waited until each thread showed
        as stopped, none was lost. So a stop takes hold before it is undone; who stands all the same is woken again.
        """
        now = time.monotonic()
        if self.rest_at and now >= self.rest_at:
            self.rest_at = self.settle_until = self.wake_until = 0.0
            _signal_all(signal.SIGSTOP)
        elif self.wake_until and (not self.guest or now > self.wake_until):
            self.settle_until = self.wake_until = 0.0
        elif self.settle_until:
            if now > self.settle_until or all_stopped():
                self.settle_until = 0.0
                _signal_all(signal.SIGCONT)
        elif self.wake_until and is_stopped(self.guest):
            _signal_all(signal.SIGCONT)

    # ---- the guest ------------------------------------------------------------------------------------------

    def _to_guest(self) -> None:
        fd = self.ends.get(mux.CONTROL)
        while self.owed and fd is not None:
            try:
                sent = os.write(fd, self.owed)
            except BlockingIOError:
                return
            except OSError:
                break  # its death is told by the kernel
            del self.owed[:sent]
            self.send(self.windows.passed_on(mux.CONTROL, sent))
        self.owed.clear()

    def _from_guest(self, ready: "set[int]") -> None:
        control = self.ends.get(mux.CONTROL, -1)
        if control in ready and self.owed:
            self._to_guest()
        if control in ready and not self.hold_until:
            self.due = {channel: in_pipe(self.ends[channel]) for channel in _OUTPUTS if channel in self.ends}
            self.hold_until = time.monotonic() + _HOLD_SECONDS
        for channel in _OUTPUTS:
            if self.hold_until or self.ends.get(channel, -1) in ready:
                self._pass_on(channel, READ_BYTES)
        if self.hold_until and (not any(self.due.values()) or time.monotonic() > self.hold_until):
            self.due, self.hold_until, self.wake_until = {}, 0.0, 0.0
            self._pass_on(mux.CONTROL, READ_BYTES)

    def _pass_on(self, channel: int, most: int) -> None:
        """Send what is in one of the guest's ends, as far as its window goes."""
        fd = self.ends.get(channel)
        while fd is not None and most > 0 and (room := min(most, self.windows.room(channel))):
            try:
                data = os.read(fd, room)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                os.close(self.ends.pop(channel))
                self.due.pop(channel, None)
                return
            self.windows.sent(channel, len(data))
            self.send(mux.frame(channel, data))
            most -= len(data)
            if channel in self.due:
                self.due[channel] = max(0, self.due[channel] - len(data))

    def _start_guest(self) -> None:
        self._forget_guest()
        self.rest_at = self.settle_until = self.wake_until = (
            0.0  # the daemon wakes no guest that it did not use
        )
        ours, theirs = socket.socketpair()
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in _OUTPUTS]
        report_read, report_write = os.pipe2(os.O_CLOEXEC)
        fds = [pipe[1] for pipe in pipes] + [theirs.detach()]
        pid = os.fork()
        if pid == 0:
            _become_guest(self.config, self.serve, fds, report_write)
        for fd in (*fds, report_write):
            os.close(fd)
        self.ends = {mux.CONTROL: ours.detach(), mux.STDOUT: pipes[0][0], mux.STDERR: pipes[1][0]}
        for fd in self.ends.values():
            os.set_blocking(fd, False)
        self.guest = pid
        self.generation += 1
        with open(report_read, "rb") as file:
            report = file.read(4096).decode("ascii", "replace")
        started = {"op": "started", "generation": self.generation, "report": report}
        self.send(mux.order({**started, "python": platform.python_version()}))

    def _close_ends(self) -> None:
        while self.ends:
            os.close(self.ends.popitem()[1])
        self.owed.clear()
        self.due, self.hold_until = {}, 0.0

    def _forget_guest(self) -> None:
        """Begin its channels anew: the daemon grants nothing for the last guest's after it asked for the next."""
        self._close_ends()
        for channel in (mux.CONTROL, *_OUTPUTS):
            self.windows.forget(channel)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._buried(pid, status)

    def _buried(self, pid: int, status: int) -> None:
        if pid != self.guest:
            return
        self.guest = 0
        for channel in (
            *_OUTPUTS,
            mux.CONTROL,
        ):  # its last words, within the window; what it started is not heard
            self._pass_on(channel, _LAST_BYTES)
        self._close_ends()
        self.send(mux.order({"op": "guest_exit", "generation": self.generation, "status": status}))

    def _sweep(self) -> None:
        """Kill every other process and wait until none is left; a fork with a pending SIGKILL fails."""
        while True:
            _signal_all(signal.SIGKILL)
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            self._buried(pid, status)


def _signal_all(number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, number)


def _become_guest(config: mux.Order, serve: Any, fds: List[int], report: int) -> NoReturn:
    """Lock down, report, run. Never returns."""
    step: Optional[Dict[str, Any]] = None
    try:
        step = lock_down(config, fds, report)
        text = ",".join("%s=%s" % item for item in step.items())
    except BaseException as error:  # noqa: BLE001
        text = "error=%s: %s" % (type(error).__name__, error)
    try:
        _report(text, report, arranged=step is not None)
        if step is not None:
            serve(socket.socket(fileno=lockdown.CONTROL_FD), config["guest_settings"])
    finally:
        os._exit(73)


def _report(text: str, report: int, *, arranged: bool) -> None:
    """Tell init, on the pipe where it is now: `arrange_descriptors` moves it, unless that was what failed."""
    for place in (lockdown.CONTROL_FD + 1, report)[: 1 if arranged else 2]:
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(place).st_mode):
                os.write(place, text.encode("ascii", "replace"))
            os.close(place)
