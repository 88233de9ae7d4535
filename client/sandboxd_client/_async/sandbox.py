"""The sandbox, as its user sees it."""

from __future__ import annotations

import builtins
import copy
import functools
import os
from typing import TYPE_CHECKING, Any

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client import _decode, _embedded
from sandboxd_client._backend_async import Connection, Turn, in_thread
from sandboxd_client._channel import Deadline, StreamBrokenError, check_address
from sandboxd_client._status import rpc_errors
from sandboxd_client.errors import ClientCode, NotStartedError, RefusedError
from sandboxd_client.tools.definition import Tool, as_tools
from sandboxd_client.tools.specs import spec_of

from .branching import AsyncBranching
from .files import AsyncFiles
from .running import AsyncRunning
from .session import AsyncSession
from .tool_use import AsyncToolUse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self, Unpack

    from sandboxd_client.info import (
        Limits,
        PolicyInfo,
        Protection,
        RulePage,
        SandboxOptions,
        SessionInfo,
        SessionSummary,
    )
    from sandboxd_client.results import Verdict

OPEN_SECONDS = 60.0
REQUEST_SECONDS = 30.0


class AsyncSandbox(AsyncRunning, AsyncBranching, AsyncToolUse):
    """A sandbox: one Python interpreter in a jail, under a policy, that keeps its variables between calls.

    Nothing is opened by the constructor. It opens on entering `async with`, by `open` or `create`, or with
    the first call. Without an address it uses SANDBOXD_ADDRESS, and without that a private daemon, which
    all sandboxes of this process share, and which ends with the process.

    One execution runs at a time: a second `run_code` meanwhile raises NotStartedError with SESSION_BUSY.
    Everything else (files, check, interrupt, close) may be called while one runs: from any task of the loop
    it was opened on, and for the synchronous class from any thread. After a fork the child needs a sandbox
    of its own.

    Args:
        policy: the policy's name; "" is the daemon's default.
        address: the daemon's, `unix:/path`.
        limits: narrower limits than the policy's.
        labels: for the operator's lists; no secrets.
        lease_seconds: how long the session survives a lost connection; None is the daemon's default.
        fresh: ask for a process started from exec, with an address layout and a hash seed of its own, also
            where the policy does not demand it. It takes an interpreter's start.
        idle_seconds: how long it may do nothing while this client is connected; None is the daemon's default.
        lifetime_seconds: how long it may live in all; None is the daemon's limit.
        tools: functions that the code may call; they run here, never in the sandbox. See `tool`.
        open_timeout: seconds for starting a private daemon and opening the session.
        request_timeout: seconds for calls that run no code.
    """

    def __init__(
        self,
        policy: str = "default",
        address: str | None = None,
        *,
        limits: Limits | None = None,
        labels: Mapping[str, str] | None = None,
        lease_seconds: float | None = None,
        fresh: bool = False,
        idle_seconds: float | None = None,
        lifetime_seconds: float | None = None,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        open_timeout: float = OPEN_SECONDS,
        request_timeout: float = REQUEST_SECONDS,
    ) -> None:
        self._wanted = pb.Open(
            policy=policy,
            limits=_decode.wanted_limits(limits),
            labels=dict(labels or {}),
            lease_seconds=lease_seconds or 0.0,
            fresh=fresh,
            idle_seconds=idle_seconds or 0.0,
            lifetime_seconds=lifetime_seconds or 0.0,
        )
        self._tools = as_tools(tools)
        self._wanted_address = address
        self._open_seconds = open_timeout
        self._request_seconds = request_timeout
        self._begin()

    def _begin(self) -> None:
        """Set what belongs to one session alone."""
        # Mutable state: `_session` and `_address` are written under `_opening`, `_closed` by whoever takes
        # `_closing`.
        self._opening = Turn()
        self._closing = Turn()
        self._session: AsyncSession | None = None
        self._address = ""
        self._closed = False
        self._pid = os.getpid()
        self.files = AsyncFiles(self._ready, self._request_seconds)

    @classmethod
    async def create(
        cls, policy: str = "default", address: str | None = None, **options: Unpack[SandboxOptions]
    ) -> Self:
        """Make a sandbox and open it; takes what the constructor takes."""
        return await cls(policy, address, **options).open()

    @classmethod
    async def attach(
        cls,
        session_id: str,
        address: str | None = None,
        *,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        open_timeout: float = OPEN_SECONDS,
        request_timeout: float = REQUEST_SECONDS,
    ) -> Self:
        """Take over a session that another process opened, by its `session_id`; that one's connection ends.

        `follow` takes up what runs there, `checkpoints` tells what it can be brought back to. `tools` are the functions
        behind the names that were registered: calls that are out are run by them.

        Raises:
            SessionLostError: it has ended; the message says why.
            RefusedError: it is none of this user's.
            NotStartedError: no daemon answers.
        """
        sandbox = cls("", address, tools=tools, open_timeout=open_timeout, request_timeout=request_timeout)
        deadline = Deadline(open_timeout)
        found = check_address(await find_address(address, deadline))
        await sandbox._join(Connection(found), found, pb.Opened(session_id=session_id), deadline)
        return sandbox

    @classmethod
    async def list(
        cls,
        labels: Mapping[str, str] | None = None,
        address: str | None = None,
        *,
        request_timeout: float = REQUEST_SECONDS,
    ) -> tuple[SessionSummary, ...]:
        """List the open sessions of this user that have all these labels. Their ids are not told: keep those."""
        connection = Connection(check_address(await find_address(address, Deadline(OPEN_SECONDS))))
        try:
            with rpc_errors():
                request = pb.ListOwnRequest(labels=dict(labels or {}))
                response = await connection.sandbox.ListOwn(request, timeout=request_timeout)
        finally:
            await connection.aclose()
        return tuple(_decode.session_summary(one) for one in response.sessions)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        # The session id is a capability: never shown.
        state = "closed" if self._closed else self.display_id if self._session else "not open"
        return f"<{type(self).__name__} {state} policy={self._wanted.policy!r}>"

    async def open(self) -> Self:
        """Open the sandbox, unless it is open.

        Raises:
            NotStartedError: no daemon, or no room on it (DaemonStartError: a private one did not start).
            RefusedError: an unknown policy, a limit above it, a protection that this host lacks.
        """
        await self._ready()
        return self

    async def close(self) -> None:
        """End the sandbox: what runs is interrupted, variables and files go. Safe to call twice."""
        if not await self._closing.take(0):
            return
        self._closed = True
        if self._session is not None:
            await self._session.aclose()

    async def detach(self) -> None:
        """Let the session go and live on: for its lease another process may attach to it. This sandbox is then closed."""
        if not await self._closing.take(0):
            return
        self._closed = True
        if self._session is not None:
            await self._session.leave()

    async def check(self, code: str, policy: str | None = None) -> Verdict:
        """Screen code without running it, under this sandbox's policy or another."""
        wanted = self._wanted.policy if policy is None else policy
        request = _decode.sendable(pb.CheckRequest(policy=wanted, code=code))
        session = await self._ready()
        with rpc_errors():
            response = await session.connection.policy.Check(request, timeout=self._request_seconds)
        return _decode.verdict(response.verdict)

    async def policy_info(self, policy: str | None = None) -> PolicyInfo:
        """Tell what this sandbox's policy, or another, really allows."""
        session = await self._ready()
        request = pb.GetPolicyRequest(policy=self._wanted.policy if policy is None else policy)
        with rpc_errors():
            response = await session.connection.policy.Get(request, timeout=self._request_seconds)
        return _decode.policy_info(response)

    async def explain(self, rule: str = "") -> tuple[RulePage, ...]:
        """Return the page of a rule, by its name or id; without one list all rules, without their pages."""
        session = await self._ready()
        request = pb.ExplainRequest(rule=rule)
        with rpc_errors():
            response = await session.connection.policy.Explain(request, timeout=self._request_seconds)
        return tuple(_decode.rule_page(page) for page in response.rules)

    @property
    def address(self) -> str:
        """Return the daemon's address."""
        return self._opened_address()

    @property
    def info(self) -> SessionInfo:
        """Return what the daemon said when it opened the session."""
        return _decode.session_info(self._opened_session().opened)

    @property
    def session_id(self) -> str:
        """Return the session's id: a capability, so keep it out of logs. `display_id` is for those."""
        return self._opened_session().opened.session_id

    @property
    def display_id(self) -> str:
        """Return the session's public id."""
        return self._opened_session().opened.display_id

    @property
    def expires_at(self) -> float:
        """Return the Unix time at which the session ends however much it is used."""
        return self._opened_session().opened.expires_at_seconds

    @property
    def limits(self) -> Limits:
        """Return the effective limits."""
        return self.info.limits

    @property
    def protections(self) -> tuple[Protection, ...]:
        """Return what protects this host from the sandbox, active or not."""
        return self.info.protections

    def _opened_session(self) -> AsyncSession:
        if self._session is None:
            raise RefusedError(
                ClientCode.NOT_OPEN, "The sandbox is not open.", remedy="Use `with`, or call open()."
            )
        return self._session

    def _opened_address(self) -> str:
        self._opened_session()
        return self._address

    def _check_usable(self) -> None:
        if self._pid != os.getpid():
            raise NotStartedError(
                ClientCode.FORKED,
                "This sandbox belongs to the parent process.",
                remedy="Open one in the child.",
            )
        if self._closed:
            raise NotStartedError(ClientCode.CLOSED, "The sandbox is closed.", remedy="Open a new one.")

    async def _ready(self) -> AsyncSession:
        """Return the session, opened."""
        self._check_usable()
        if self._session is not None:
            return self._session
        if not await self._opening.take(self._open_seconds):
            raise NotStartedError(ClientCode.DEADLINE_EXCEEDED, "The sandbox did not open in time.")
        try:
            if self._session is None:
                self._session = await self._open_session()
        finally:
            self._opening.give()
        if self._closed:
            # Closed by another thread or task while it opened.
            await self._session.aclose()
            self._check_usable()
        return self._session

    async def _twins(self, clones: builtins.list[pb.Opened]) -> builtins.list[Self]:
        """Return sandboxes like this one for its clones, each attached to its own."""
        deadline = Deadline(self._request_seconds)
        connection = self._opened_session().connection
        twins: builtins.list[Self] = []
        try:
            for opened in clones:
                twin = copy.copy(self)
                connection = connection.share()
                await twin._join(connection, self._address, opened, deadline)  # noqa: SLF001 - of this class
                twins.append(twin)
        except BaseException:
            for twin in twins:
                await twin.close()
            raise
        return twins

    async def _join(
        self, connection: Connection, address: str, opened: pb.Opened, deadline: Deadline
    ) -> None:
        """Attach to a session that exists."""
        self._begin()
        session = AsyncSession(connection, address)
        session.opened = opened
        session.desk.offer(self._tools)
        try:
            await session.attach(deadline)
        except StreamBrokenError:
            await connection.aclose()
            raise session.unreachable_error() from None
        except BaseException:
            await connection.aclose()
            raise
        self._wanted = pb.Open(policy=session.opened.policy)
        self._address = address
        self._session = session

    async def _open_session(self) -> AsyncSession:
        deadline = Deadline(self._open_seconds)
        address = await find_address(self._wanted_address, deadline)
        connection = Connection(check_address(address))
        session = AsyncSession(connection, address)
        session.desk.offer(self._tools)
        del self._wanted.tools[:]
        self._wanted.tools.extend(spec_of(tool) for tool in self._tools)
        try:
            await session.open(self._wanted, deadline)
        except BaseException:
            await connection.aclose()
            raise
        self._address = address
        return session


async def find_address(wanted: str | None, deadline: Deadline) -> str:
    """Return the daemon's address: the wanted one, that of the environment, or a private daemon's, which it starts."""
    address = wanted or os.environ.get("SANDBOXD_ADDRESS")
    if not address:
        address = await in_thread(functools.partial(_embedded.start, deadline))
    return address
