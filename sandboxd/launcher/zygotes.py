"""Zygotes: one warm interpreter per environment, started on demand, replaced when it dies."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandboxd.environments import Environment
from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import wire
from sandboxd.launcher.channel import Channel
from sandboxd.launcher.layout import layout
from sandboxd.launcher.reaper import Reaper
from sandboxd.seccomp import Filter

WARM_SECONDS = 120.0
FORK_SECONDS = 10.0
PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])

# -I: no environment variables, no user site; -S: no site-packages, no .pth files; -B: the tree is read-only for guests.
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[2]); "
    "from sandboxd.jail.zygote import main; main(int(sys.argv[1]), sys.argv[2])"
)
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PATH": "/usr/bin:/bin",
    "HOME": "/work",
    "TMPDIR": "/tmp",  # noqa: S108  the box's own
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHON_DISABLE_REMOTE_DEBUG": "1",  # PEP 768: no code injection from beside
    # Thread pools do not survive a fork, and each thread reserves address space that counts against the limit.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "MPLBACKEND": "agg",
}


class Zygote:
    """A running zygote. Forks are answered in order."""

    def __init__(self, environment: Environment, filters: Mapping[str, Filter], reaper: Reaper) -> None:
        self.environment = environment
        self._filters = filters
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[str] = self._loop.create_future()
        self.ready.add_done_callback(lambda f: f.cancelled() or f.exception())  # a failure may go unasked for
        self._forks: dict[int, asyncio.Future[tuple[int, bool]]] = {}
        self.alive = True
        ours, theirs = wire.pair()
        with theirs:
            self._process = self._spawn(theirs)
        reaper.watch(self._process.pid, lambda _: None)  # its channel tells of its end
        self._channel = Channel(ours, self._on_message, self._on_end)
        self._channel.send(self._config())

    def _spawn(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        command = [self.environment.python, "-I", "-S", "-B", "-X", "utf8", "-c", _BOOT]
        variables = dict(_ENVIRONMENT)
        if self.environment.matplotlib_cache:
            variables["MPLCONFIGDIR"] = self.environment.matplotlib_cache
        return subprocess.Popen(
            [*command, str(theirs.fileno()), PACKAGE_ROOT],
            pass_fds=[theirs.fileno()],
            env=variables,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _config(self) -> dict[str, Any]:
        filters = {name: base64.b64encode(built.program).decode() for name, built in self._filters.items()}
        site = self.environment.site_packages
        return {
            "op": "init",
            "layout": layout(self.environment),
            "guest_filter": filters["guest"],
            "supervisor_filter": filters["supervisor"],
            "sys_path": [site] if site else [],
            "guest_settings": {
                "preload": list(self.environment.preload),
                "packages": list(self.environment.packages),
                "repr_limit": 65536,
                "display_item_bytes": 4 << 20,
                "display_total_bytes": 8 << 20,
                "workdir": "/work",
            },
        }

    def _on_message(self, message: wire.Message, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)
        if message["op"] == "ready":
            self.ready.set_result(str(message["python"]))
        elif message["op"] == "unusable":
            self._fail(f"environment {self.environment.name!r} cannot be loaded: {message['detail']}")
        elif (waiting := self._forks.pop(int(message["box"]), None)) is not None and not waiting.done():
            if message["op"] == "forked":
                waiting.set_result((int(message["pid"]), bool(message["placed"])))
            else:
                waiting.set_exception(OSError(int(message["errno"]), str(message["error"])))

    def _on_end(self, reason: str) -> None:
        self._fail(f"the zygote of environment {self.environment.name!r} ended ({reason})")
        self._process.kill()

    def _fail(self, message: str) -> None:
        self.alive = False
        error = SandboxdError(
            Code.ENVIRONMENT_FAILED,
            message,
            remedy="Rebuild it: sandboxd env remove NAME, then sandboxd env create NAME.",
        )
        pending: list[asyncio.Future[Any]] = [self.ready, *self._forks.values()]
        for waiting in pending:
            if not waiting.done():
                waiting.set_exception(error)
        self._forks.clear()

    async def fork(self, box: int, supervisor: socket.socket, cgroup: int | None) -> tuple[int, bool]:
        """Fork a box that talks on `supervisor`; return the pid of its pid 1, a child of this process.

        `cgroup` is the directory of the v2 group to be born in; returned too is whether it was.

        Raises:
            SandboxdError: ENVIRONMENT_FAILED.
            OSError: the kernel refused the clone.
        """
        async with asyncio.timeout(WARM_SECONDS):
            await asyncio.shield(self.ready)
        waiting: asyncio.Future[tuple[int, bool]] = self._loop.create_future()
        self._forks[box] = waiting
        fds = [supervisor.fileno()] if cgroup is None else [supervisor.fileno(), cgroup]
        self._channel.send({"op": "fork", "box": box}, fds)
        async with asyncio.timeout(FORK_SECONDS):
            return await waiting

    def close(self) -> None:
        """End the zygote. Its boxes live on; forks that it owes fail."""
        self._fail("the launcher stops")
        self._channel.close()
        self._process.kill()  # reaped by `Reaper`, like every child of the launcher


class Zygotes:
    """The zygotes of this launcher, by environment."""

    def __init__(self, filters: Mapping[str, Filter], reaper: Reaper) -> None:
        self._filters = filters
        self._reaper = reaper
        self._running: dict[str, Zygote] = {}

    def get(self, environment: Environment) -> Zygote:
        """Return the environment's zygote, starting one if there is none alive."""
        running = self._running.get(environment.name)
        if running is None or not running.alive:
            running = self._running[environment.name] = Zygote(environment, self._filters, self._reaper)
        return running

    def close(self) -> None:
        """End all zygotes."""
        for zygote in self._running.values():
            if zygote.alive:
                zygote.close()
        self._running.clear()
