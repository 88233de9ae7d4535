"""What a sandbox does with its past and its clones: fork, checkpoint, rollback; and with whoever looked on before."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb

from sandboxd_client import _decode
from sandboxd_client._backend_async import Callback, sleep
from sandboxd_client._channel import Deadline, StreamBrokenError
from sandboxd_client.errors import ClientCode, InDoubtError, SandboxError

from .flight import AsyncFlight
from .running import bound_seconds, busy_error, listeners, tell_listeners

if TYPE_CHECKING:
    from typing import Self

    from sandboxd_client.info import Checkpoint
    from sandboxd_client.results import Execution, Result

    from .session import AsyncSession

AGAIN_SECONDS = 0.05


class AsyncBranching:
    """The part of a sandbox that goes back and branches off. `AsyncSandbox` brings the session."""

    _session: AsyncSession | None
    _request_seconds: float

    async def _ready(self) -> AsyncSession:
        """Return the session, opened."""
        raise NotImplementedError

    async def _twins(self, clones: list[pb.Opened]) -> list[Self]:
        """Return sandboxes like this one for sessions that were cloned from its own."""
        raise NotImplementedError

    async def fork(self, count: int = 1) -> list[Self]:
        """Clone the sandbox, all clones or none: each goes on from here alone, as a sandbox of its own.

        A clone has its own variables, random state, lease and copy of the work directory (`info.workdir`; relative paths
        lead there, and absolute ones below /work fail). It shares with its original the outer limits, /tmp, open files and
        the moment at which it ends however much it is used. Closing the original leaves it alive: close each.

        Args:
            count: how many clones.

        Raises:
            RefusedError: FORK_REFUSED (more than one thread runs), FORK_LIMIT (the policy's `forks`), FORK_FAILED.
            NotStartedError: code runs in the sandbox, or no more sessions are admitted.
            InDoubtError: the connection broke; clones that were made end with their leases.
        """
        event = await self._ask(pb.SessionRequest(fork=pb.Fork(count=count)), "forked", repeat=False)
        return await self._twins(list(event.forked.clones))

    async def checkpoint(self, name: str) -> Checkpoint:
        """Keep the present variables and files under a name, in place of an older checkpoint of that name.

        Args:
            name: 1 to 64 characters of [A-Za-z0-9_.-].

        Raises:
            RefusedError: as for `fork`.
            NotStartedError: code runs in the sandbox.
            InDoubtError: the connection broke and stayed broken.
        """
        request = pb.SessionRequest(checkpoint=pb.Checkpoint(name=name))
        event = await self._ask(request, "checkpointed")
        await self._note(event.checkpointed)
        return next(point for point in self.checkpoints if point.name == name)

    async def rollback(self, name: str) -> None:
        """Bring variables and files back to a checkpoint, also when the interpreter has been lost. The checkpoint stays.

        Raises:
            RefusedError: CHECKPOINT_NOT_FOUND: there is none of that name, or the code that ran has destroyed it.
            NotStartedError: code runs in the sandbox.
            InDoubtError: the connection broke and stayed broken.
        """
        await self._ask(pb.SessionRequest(rollback=pb.Rollback(name=name)), "rolled_back")

    async def drop_checkpoint(self, name: str) -> None:
        """Let a checkpoint go: it holds memory and disk of the session, and counts among `forks`.

        Raises:
            RefusedError, NotStartedError, InDoubtError: as for `rollback`.
        """
        request = pb.SessionRequest(drop_checkpoint=pb.DropCheckpoint(name=name))
        event = await self._ask(request, "checkpointed")
        await self._note(event.checkpointed)

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return the checkpoints, oldest first, as the daemon last told."""
        opened = self._session.opened if self._session is not None else pb.Opened()
        return tuple(_decode.checkpoint(point) for point in opened.checkpoints)

    async def renew(self, lease_seconds: float | None = None) -> float:
        """Start the session's lease again; return the Unix time at which it ends if nothing more is asked of it.

        While code runs no lease runs, and there is nothing to renew.

        Args:
            lease_seconds: how long it is to survive a lost connection from now on; None leaves it as it was.

        Raises:
            NotStartedError: LIMIT_ABOVE_POLICY, or code runs in the sandbox.
            SessionLostError: it has ended.
        """
        request = pb.SessionRequest(renew=pb.Renew(lease_seconds=lease_seconds or 0.0))
        return (await self._ask(request, "renewed")).renewed.expires_at_seconds

    async def follow(
        self,
        execution_id: str,
        *,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
        on_result: Callback[Result] | None = None,
    ) -> Execution:
        """Take up the running or last execution of this session, which another process began, to its end.

        Output from before comes again as far as the daemon keeps it. Left early the execution goes on.

        Raises:
            NotStartedError: EXECUTION_NOT_FOUND: the daemon has no record of it; SESSION_BUSY: this sandbox runs code.
            InDoubtError, SessionLostError: as for `run_code`.
        """
        session = await self._ready()
        heard = listeners(on_stdout, on_stderr, on_result)
        flight = AsyncFlight(
            session,
            pb.Execute(execution_id=execution_id),
            functools.partial(tell_listeners, heard),
            bound_seconds=bound_seconds(session.opened, None),
            idempotent=False,
        )
        if not await session.turn.take(0):
            raise busy_error()
        try:
            session.running = execution_id
            return await flight.take_up()
        finally:
            session.running = ""
            session.turn.give()

    async def _note(self, told: pb.Checkpointed) -> None:
        opened = (await self._ready()).opened
        del opened.checkpoints[:]
        opened.checkpoints.extend(told.checkpoints)

    async def _ask(self, request: pb.SessionRequest, answer: str, *, repeat: bool = True) -> pb.SessionEvent:
        """Ask something of the idle session; what does no more when done twice is asked again after a broken stream."""
        session = await self._ready()
        if not await session.turn.take(0):
            raise busy_error()
        deadline = Deadline(self._request_seconds)
        broke = False
        try:
            while True:
                try:
                    if not session.attached():
                        await session.reattach(deadline)
                    return await session.request(request, answer, deadline)
                except StreamBrokenError as broken:
                    if broken.error is not None or session.closing:
                        raise broken.error or session.closed_error("") from None
                    if not repeat or deadline.passed():
                        raise _in_doubt(answer) from None
                    broke = True
                except SandboxError as error:
                    # The first one, whose answer was lost, is still under way.
                    if not (broke and error.code == "SESSION_BUSY") or deadline.passed():
                        raise
                    await sleep(AGAIN_SECONDS)
        except TimeoutError:
            raise _in_doubt(answer) from None
        finally:
            session.turn.give()


def _in_doubt(answer: str) -> InDoubtError:
    return InDoubtError(
        ClientCode.UNREACHABLE,
        f"It is not known whether the session was {answer.replace('_', ' ')}: no answer came.",
        remedy="Clones that were made end with their leases; a checkpoint or rollback may be asked for again.",
    )
