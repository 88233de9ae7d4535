"""All parts of a daemon, put together. This brings gRPC and pydantic: the daemon imports it in a thread."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sandboxd import __version__
from sandboxd.guest.restricted import facades
from sandboxd.identity import SessionIds
from sandboxd.isolate import Isolation
from sandboxd.log import Executions, Log, read_history
from sandboxd.pipeline import Pipeline
from sandboxd.policy import PolicySet
from sandboxd.quota import Admission, Bounds
from sandboxd.routing import Router
from sandboxd.server.acceptor import Acceptor
from sandboxd.server.wire import WireServer, add_admin, add_public, admin_server, public_server
from sandboxd.service import AdminService, PeerNames, PolicyService, SandboxService
from sandboxd.sessions import Sessions, Terms

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from sandboxd.config import Config
    from sandboxd.executors.base import Executor
    from sandboxd.log import JsonValue, StateDir
    from sandboxd.screen import Screener
    from sandboxd.server.sockets import PublicSocket

_ADMIN_CONNECTIONS = 16


class House:
    """Holds the parts between start and stop.

    Args:
        config: the settings.
        state: the locked state directory.
        executors: the tiers, started.
        screener: started.
        group: what owns the tasks of sessions and connections.

    Raises:
        StartError: a policy or the log cannot be used.
    """

    def __init__(
        self,
        config: Config,
        state: StateDir,
        executors: Sequence[Executor],
        screener: Screener,
        group: asyncio.TaskGroup,
    ) -> None:
        self._config = config
        self._state = state
        self._group = group
        self._policies = PolicySet.load(
            config.policy_dir,
            default=config.default_policy,
            allow_unscreened=config.allow_unscreened,
            facades=facades.NAMES,
        )
        self._router = Router(screener, self._policies)
        self._log = Log.open(
            state.log_dir,
            durability=config.durability,
            rotate_bytes=config.log_rotate_bytes,
            max_total_bytes=config.log_max_bytes,
        )
        self._executions = Executions.open(self._log, read_history(state.log_dir))
        self._admission = Admission(
            Bounds(config.max_sessions, config.max_concurrent, config.max_queue, config.memory_total)
        )
        self._pipeline = Pipeline(router=self._router, admission=self._admission, executions=self._executions)
        self._isolation = Isolation(executors)
        self.sessions = Sessions(
            group=group,
            ids=SessionIds(state.key, state.incarnation),
            policies=self._policies,
            isolation=self._isolation,
            admission=self._admission,
            pipeline=self._pipeline,
            executions=self._executions,
            log=self._log,
            terms=Terms(
                config.lease_seconds,
                config.max_lease_seconds,
                config.idle_seconds,
                config.max_lifetime_seconds,
            ),
        )
        self.own_address = ""  # of an embedded daemon: for its own user, past the acceptor
        self._servers: list[WireServer] = []
        self._acceptors: list[Acceptor] = []

    async def start(self, public: PublicSocket, admin: PublicSocket, *, only_uid: int | None) -> None:
        """Serve both sockets."""
        names: dict[str, JsonValue] = {
            "version": __version__,
            "incarnation": self._state.incarnation,
            "uid": os.geteuid(),
        }
        await self._log.before("daemon_started", names)
        callers = PeerNames(public.private, only_uid)
        server = public_server(public.private, self._config)
        sandbox = SandboxService(
            self.sessions,
            self._executions,
            self._log,
            callers,
            policies=self._policies,
            router=self._router,
        )
        add_public(server, sandbox, PolicyService(self._policies, self._router, self._isolation, callers))
        await server.start("sandboxd.v1.SandboxService", "sandboxd.v1.PolicyService")
        self._servers.append(server)
        if only_uid is not None:
            self.own_address = public.behind(server.backend)
        operators = admin_server(admin.private)
        add_admin(operators, self._admin(PeerNames(admin.private)))
        await operators.start("sandboxd.v1.AdminService")
        self._servers.append(operators)
        await self._accept(public, server, self._config.max_connections, only_uid)
        await self._accept(admin, operators, _ADMIN_CONNECTIONS, only_uid)

    async def say_not_serving(self) -> None:
        """Tell health checkers first, before anything is refused."""
        for server in self._servers:
            await server.drain()

    async def stop(self, grace_seconds: float) -> None:
        """End sessions, then calls, then connections."""
        for acceptor in self._acceptors:
            acceptor.stop_accepting()
        await self.sessions.close_all("the daemon stops", "shutdown")
        for server in self._servers:
            await server.stop(grace_seconds)
        for acceptor in self._acceptors:
            acceptor.close()
        self._log.after("daemon_stopped", {"incarnation": self._state.incarnation})

    def close(self) -> None:
        """Finish the log."""
        self._log.close()

    async def _accept(
        self, socket: PublicSocket, server: WireServer, max_connections: int, only_uid: int | None
    ) -> None:
        acceptor = Acceptor(
            socket.listener,
            private=socket.private,
            backend=server.backend,
            max_connections=max_connections,
            only_uid=only_uid,
            group=self._group,
        )
        await acceptor.start()
        self._acceptors.append(acceptor)

    def _admin(self, peers: PeerNames) -> AdminService:
        return AdminService(
            sessions=self.sessions,
            admission=self._admission,
            pipeline=self._pipeline,
            isolation=self._isolation,
            log=self._log,
            config=self._config,
            incarnation=self._state.incarnation,
            peers=peers,
        )
