"""The zygote: an exec'd interpreter of one environment, warm and single-threaded, that forks boxes on request.

It holds no secret and no descriptor but its socket to the launcher. It ends when that socket closes; boxes do not depend
on it, since CLONE_PARENT makes them the launcher's own children.
"""

from __future__ import annotations

import base64
import codecs
import gc
import os
import platform
import signal
import socket
import sys
from typing import Any, Dict, List, NoReturn, Optional, Tuple

from sandboxd.jail import kernel, supervisor, wire

NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
)


def main(fd: int, boot_path: str) -> NoReturn:
    """Serve fork requests on the socket `fd`. Never returns; exits 0 at end of file, 1 when warming up failed."""
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config, _ = wire.receive(sock)
    config["guest_filter"] = base64.b64decode(config["guest_filter"])
    config["supervisor_filter"] = base64.b64decode(config["supervisor_filter"])
    try:
        serve = _warm(config, boot_path)
    except BaseException as error:  # noqa: BLE001  a broken preload is the environment's fault: say so
        wire.send(sock, {"op": "unusable", "detail": ("%s: %s" % (type(error).__name__, error))[:2000]})
        os._exit(1)
    wire.send(sock, {"op": "ready", "python": platform.python_version()})
    _serve(sock, config, serve)


def _warm(config: Dict[str, Any], boot_path: str) -> supervisor.Serve:
    import sandboxd.guest  # noqa: PLC0415  after the environment's path is known

    for path in config["sys_path"]:
        sys.path.append(path)
    sandboxd.guest.warm(config["guest_settings"])
    _require_single_thread()
    sys.path[:] = [entry for entry in sys.path if entry != boot_path]
    # Between giving up the host's ids and entering the new root nothing can be imported, codecs included.
    codecs.lookup("ascii")

    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so un-sharing, every page in every box
    return sandboxd.guest.serve


def _require_single_thread() -> None:
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise RuntimeError(
            "a preloaded module started %d threads: a fork would clone half of it" % (threads - 1)
        )


def _serve(sock: socket.socket, config: Dict[str, Any], serve: supervisor.Serve) -> NoReturn:
    while True:
        try:
            message, fds = wire.receive(sock)
        except (EOFError, OSError):
            os._exit(0)
        try:
            pid, placed = _clone(fds[1] if len(fds) > 1 else None)
        except OSError as error:
            reply: wire.Message = {
                "op": "fork_failed",
                "box": message["box"],
                "errno": error.errno,
                "error": os.strerror(error.errno or 0),
            }
        else:
            if pid == 0:
                sock.close()
                _become_box(fds, config, serve)
            reply = {"op": "forked", "box": message["box"], "pid": pid, "placed": placed}
        for fd in fds:
            os.close(fd)
        wire.send(sock, reply)


def _clone(cgroup: Optional[int]) -> Tuple[int, bool]:
    """Return the pid and whether it was born in the cgroup: a container's seccomp filter may refuse clone3."""
    if cgroup is not None:
        try:
            return kernel.clone(NAMESPACES | kernel.CLONE_PARENT, cgroup), True
        except OSError:
            pass  # then the launcher moves it; what else is wrong comes up again
    return kernel.clone(NAMESPACES | kernel.CLONE_PARENT), False


def _become_box(fds: List[int], config: Dict[str, Any], serve: supervisor.Serve) -> NoReturn:
    try:
        os.setsid()
        for fd in fds[1:]:
            os.close(fd)
        supervisor.Supervisor(socket.socket(fileno=fds[0]), config, serve).run()
    finally:
        os._exit(71)
