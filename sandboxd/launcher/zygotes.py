"""A zygote as the launcher sees it: an exec'd, warm interpreter of one environment that forks boxes on request.

Its boxes are the launcher's own children (CLONE_PARENT), so it can retire or die while they live. Who is whose successor
is decided in `sandboxd.launcher.turnover`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
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
    """A running zygote. Forks are answered in order.

    Args:
        environment: what it imports.
        filters: the jail's seccomp programs.
        reaper: waits for it.
        single: it forks one box and ends, so that nothing else ever has that box's address layout and hash seed.
        on_use: called when one of its boxes is taken into use.
        on_death: called when it ends without having been told to.
    """

    def __init__(
        self,
        environment: Environment,
        filters: Mapping[str, Filter],
        reaper: Reaper,
        *,
        single: bool = False,
        on_use: Callable[[Zygote], None] = lambda _: None,
        on_death: Callable[[Zygote], None] = lambda _: None,
    ) -> None:
        self.environment = environment
        self.single = single
        self.used = 0
        self.retired = False
        self._wanted = 0  # forks asked for and not answered
        self._on_use = on_use
        self._on_death = on_death
        self._exited = False
        self._filters = filters
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[str] = self._loop.create_future()
        self.ready.add_done_callback(lambda f: f.cancelled() or f.exception())  # a failure may go unasked for
        self._forks: dict[int, asyncio.Future[tuple[int, bool]]] = {}
        self.alive = True
        config = self._config()  # which may refuse the environment: nothing is started yet
        ours, theirs = wire.pair()
        with theirs:
            self._process = self._spawn(theirs)
        reaper.watch(self._process.pid, self._on_exit)
        self._channel = Channel(ours, self._on_message, self._on_end)
        self._channel.send(config)

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
        self._kill()
        self._on_death(self)

    def _on_exit(self, status: int) -> None:
        self._exited = True
        self._process.returncode = os.waitstatus_to_exitcode(status)  # `Popen` must not wait for it as well

    def _kill(self) -> None:
        if not self._exited:  # else the pid may be another's by now
            os.kill(self._process.pid, signal.SIGKILL)  # reaped by `Reaper`, like every child of the launcher

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

    @property
    def loaded(self) -> bool:
        """Tell whether it ever was ready to fork."""
        return self.ready.done() and not self.ready.cancelled() and self.ready.exception() is None

    @property
    def lost(self) -> bool:
        """Tell whether it was at work and then died."""
        return self.loaded and not self.alive and not self.single

    async def fork(self, box: int, supervisor: socket.socket, cgroup: int | None) -> tuple[int, bool]:
        """Fork a box that talks on `supervisor`; return the pid of its pid 1, a child of this process.

        `cgroup` is the directory of the v2 group to be born in; returned too is whether it was.

        Raises:
            SandboxdError: ENVIRONMENT_FAILED.
            OSError: the kernel refused the clone.
        """
        self._wanted += 1
        try:
            async with asyncio.timeout(WARM_SECONDS):
                await asyncio.shield(self.ready)
            waiting: asyncio.Future[tuple[int, bool]] = self._loop.create_future()
            self._forks[box] = waiting
            fds = [supervisor.fileno()] if cgroup is None else [supervisor.fileno(), cgroup]
            self._channel.send({"op": "fork", "box": box}, fds)
            async with asyncio.timeout(FORK_SECONDS):
                return await waiting
        finally:
            self._wanted -= 1
            if self.single or self.retired:
                self._close_when_unwanted()

    def count_use(self) -> None:
        """Count a box that is taken into use: until then nobody learns anything from it."""
        self.used += 1
        self._on_use(self)

    def retire(self) -> None:
        """Take no part any more: end once every fork that was asked for is answered. Its boxes live on."""
        self.retired = True
        self._close_when_unwanted()

    def _close_when_unwanted(self) -> None:
        if not self._wanted:
            self.close()

    def close(self) -> None:
        """End the zygote. Its boxes live on; forks that it owes fail. Idempotent."""
        self._fail("the launcher stops")
        self._channel.close()
        self._kill()
