"""How a box gets more members: live clones, checkpoints (stopped ones), a checkpoint's successor in a member's place.

The launcher makes a clone's descriptors and sends the inner ends to pid 1, which passes them to the interpreter that is
to be cloned; the front tells that interpreter to look. pid 1 answers who was born, with a pidfd. Each step has a deadline:
an interpreter that never answers, or answers nonsense, costs its own fork.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandboxd.errors import Code, SandboxdError
from sandboxd.jail import wire
from sandboxd.jail.cradle import CHECKPOINT, LIVE, RESTORE
from sandboxd.launcher import fork_messages, protocol
from sandboxd.launcher.ends import Three, close_all, guest_ends, in_order, is_killed
from sandboxd.launcher.member import Member, Place
from sandboxd.launcher.pid1 import Pid1

if TYPE_CHECKING:
    from sandboxd.launcher.box import Box

FORK_SECONDS = 10.0
DETAIL = 500
_CODES = {"refused": Code.FORK_REFUSED, "failed": Code.FORK_FAILED}


@dataclass(slots=True)
class Kept:
    """A checkpoint: a stopped clone of a member, and a copy of its files."""

    number: int
    of: Member
    place: Place
    pidfd: int = -1
    alive: bool = False

    @property
    def dead(self) -> bool:
        """Tell whether it is gone or about to, also where pid 1 has not said so yet: a kill holds from when it was sent."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not self.alive or bool(poll.poll(0)) or is_killed(self.pidfd)

    def let_go(self) -> None:
        """Close what stands for it."""
        close_all((self.pidfd,))
        self.pidfd = -1


class Forks:
    """The forks of one box. State is touched on the event loop only."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self.kept: dict[int, Kept] = {}
        self.coming: dict[int, Member | Kept] = {}  # ordered, by their numbers
        self._pending = 0

    def room(self) -> int:
        """Return how many processes there may be beyond the first member's own: each clone, and a helper of pid 1's."""
        more = len(self._box.members) - 1 + len(self.kept) + self._pending
        return more + 1 if more else 0

    # ---- forking --------------------------------------------------------------------------------------------

    async def clone(self, parent: Member, request: int, number: int) -> tuple[Member, Three]:
        """Make a live clone; return it with the front's ends of its descriptors.

        Raises:
            SandboxdError: FORK_LIMIT, FORK_REFUSED, FORK_FAILED.
        """
        self._check_room()
        place = parent.place.below(number)
        member = Member(number, self._box, place)
        order = self._order(parent.number, request, number, LIVE, place)
        order.update(source=parent.place.workdir, target=place.workdir)
        ours, theirs = guest_ends()
        self.coming[number] = member
        try:
            member.adopt(await self._ordered(order, in_order(theirs), place))
        except BaseException:
            close_all(ours)
            raise
        finally:
            del self.coming[number]
            close_all(theirs)
        self._box.members[number] = member
        return member, ours

    async def checkpoint(self, parent: Member, request: int, number: int, replaces: int) -> tuple[Kept, int]:
        """Make a stopped clone, then let go of the one it replaces; return it with the front's end of its control socket.

        Raises:
            SandboxdError: FORK_LIMIT, FORK_REFUSED, FORK_FAILED.
        """
        self._check_room(int(replaces in self.kept))
        data = parent.place.below(number)
        kept = Kept(number, parent, data)
        order = self._order(
            parent.number, request, number, CHECKPOINT, Place(data.home, parent.place.workdir)
        )
        order.update(source=parent.place.workdir, target=data.workdir)
        (ours, *unused), theirs = guest_ends()
        self.coming[number] = kept
        try:
            kept.pidfd = await self._ordered(order, (theirs[0],), data)
        except BaseException:
            close_all((ours,))
            raise
        finally:
            del self.coming[number]
            close_all((*unused, *theirs))
        self.kept[number] = kept
        await self.drop(replaces)
        return kept, ours

    async def roll_back(self, member: Member, request: int, number: int) -> Three:
        """Put a member back to one of its checkpoints; return the front's ends of the next interpreter's descriptors.

        Raises:
            SandboxdError: CHECKPOINT_NOT_FOUND; FORK_FAILED, and then the member has a new interpreter without variables.
        """
        kept = self.kept.get(number)
        if kept is None or kept.dead or kept.of is not member:  # looked at before the member is ended for it
            raise SandboxdError(
                Code.CHECKPOINT_NOT_FOUND, "The checkpoint was destroyed from inside the session."
            )
        await member.halt()
        order = self._order(number, request, member.number, RESTORE, member.place)
        order.update(source=kept.place.workdir, target=member.place.workdir)
        ours, theirs = guest_ends()
        try:
            member.adopt(await self._ordered(order, in_order(theirs), None))
        except BaseException:
            close_all(ours)
            member.halted(restored=False)
            raise
        finally:
            close_all(theirs)
        member.halted(restored=True)
        return ours

    def _check_room(self, leaving: int = 0) -> None:
        limit = int(self._box.limits.get("forks", 0)) + leaving
        if len(self._box.members) - 1 + len(self.kept) + self._pending >= limit:
            raise SandboxdError(
                Code.FORK_LIMIT,
                f"{limit - leaving} clones and checkpoints of this session tree are there.",
                remedy="Close clones or drop checkpoints; the policy's limits.forks sets the number.",
            )

    @staticmethod
    def _order(parent: int, request: int, number: int, kind: str, place: Place) -> dict[str, Any]:
        return {
            "op": "fork", "parent": parent, "number": request, "member": number, "kind": kind,
            "home": place.home, "workdir": place.workdir,
        }  # fmt: skip

    async def _ordered(self, order: wire.Message, fds: tuple[int, ...], made: Place | None) -> int:
        """Have a process forked; return its pidfd. `made` is what to remove again if it comes to nothing."""
        pid1 = self._box.pid1
        assert pid1 is not None
        self._pending += 1
        self._box.hold()
        try:
            return await self._born(pid1, order, fds)
        except BaseException:
            remove = [made.workdir] if made is not None else []
            pid1.tell({"op": "unfork", "member": order["member"], "remove": remove})
            raise
        finally:
            self._pending -= 1
            self._box.release()

    @staticmethod
    async def _born(pid1: Pid1, order: wire.Message, fds: tuple[int, ...]) -> int:
        waiting = pid1.expect(f"born:{order['member']}")
        pid1.tell(order, fds)
        try:
            async with asyncio.timeout(FORK_SECONDS):
                answer, pidfds = await waiting
        except TimeoutError:
            raise _failed(f"the interpreter did not fork within {FORK_SECONDS:g} s") from None
        except SandboxdError as error:  # pid 1 ended, and the tree with it
            raise SandboxdError(
                Code.SESSION_LOST, "The sandbox ended while it forked.", remedy="Open a new one."
            ) from error
        if answer["code"]:
            close_all(pidfds)
            code = _CODES.get(answer["code"], Code.FORK_FAILED)
            raise (
                _refused(str(answer["detail"]))
                if code is Code.FORK_REFUSED
                else _failed(str(answer["detail"]))
            )
        return pidfds[0]

    # ---- ending ---------------------------------------------------------------------------------------------

    async def drop(self, number: int) -> None:
        """Let a checkpoint go."""
        kept = self.kept.pop(number, None)
        if kept is not None:
            await self._end(number, [], [kept.place.workdir])
            kept.let_go()

    async def leave(self, member: Member) -> None:
        """Let a member go that is not the last one, with its checkpoints."""
        own = [kept for kept in self.kept.values() if kept.of is member]
        member.closing = True
        member.stop()
        for kept in own:
            del self.kept[kept.number]
        places = [member.place.workdir, *(kept.place.workdir for kept in own)]
        await self._end(member.number, [kept.number for kept in own], places)
        self._box.members.pop(member.number, None)
        member.let_go()
        for kept in own:
            kept.let_go()

    async def _end(self, number: int, others: list[int], places: list[str]) -> None:
        pid1 = self._box.pid1
        assert pid1 is not None
        order = {"op": "end", "member": number, "with": others, "remove": places}
        self._box.hold()
        try:
            await pid1.step(f"ended:{number}", order)
        except SandboxdError:
            self._box.kill_all()  # a pid 1 that cannot sweep: what it holds goes with it
        finally:
            self._box.release()

    def died(self, number: int) -> Kept | None:
        """Pid 1 reaped a clone in the making, or a checkpoint; return the latter."""
        if (coming := self.coming.get(number)) is not None:
            coming.alive = False
        kept = self.kept.get(number)
        if kept is not None:
            kept.alive = False
        return kept

    def kill(self) -> None:
        """Kill the checkpoints: something in the box will not stand still, and it may be one of them."""
        for kept in self.kept.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(kept.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Close what stands for checkpoints: the tree is gone."""
        for kept in self.kept.values():
            kept.let_go()
        self.kept.clear()


async def answer_fork(
    box: Box,
    message: fork_messages.ForkRequest,
    number: int,
) -> tuple[protocol.LauncherMessage, tuple[int, ...]]:
    """Carry out a request about clones and checkpoints; return the reply and its descriptors, to be closed once it is sent.

    Args:
        box: the tree.
        message: the request; its box is the member.
        number: for a new member or checkpoint.

    Raises:
        SandboxdError: FORK_LIMIT, FORK_REFUSED, FORK_FAILED, CHECKPOINT_NOT_FOUND, SESSION_LOST.
    """
    forks, member = box.forks, box.members.get(message.box)
    if member is None or member.closing:
        raise SandboxdError(Code.SESSION_LOST, "The session is gone.", remedy="Open a new one.")
    if isinstance(message, fork_messages.Fork):
        clone, ends = await forks.clone(member, message.request, number)
        clone.in_use = True
        return fork_messages.Forked(message.request, number, clone.meter.guest_pid, clone.place.workdir), ends
    if isinstance(message, fork_messages.Keep):
        kept, control = await forks.checkpoint(member, message.request, number, message.replaces)
        return fork_messages.Kept(message.request, member.number, kept.number), (control,)
    if isinstance(message, fork_messages.RollBack):
        ends = await forks.roll_back(member, message.request, message.checkpoint)
        return fork_messages.RolledBack(message.request, member.meter.guest_pid), ends
    await forks.drop(message.checkpoint)
    return fork_messages.Dropped(message.request), ()


def _refused(detail: str) -> SandboxdError:
    return SandboxdError(
        Code.FORK_REFUSED,
        f"The interpreter cannot be cloned: {detail[:DETAIL]}.",
        remedy="End the threads, then fork; or open another session.",
    )


def _failed(detail: str) -> SandboxdError:
    return SandboxdError(
        Code.FORK_FAILED,
        f"No clone could be made: {detail[:DETAIL]}.",
        remedy="Close clones or drop checkpoints, or ask for more memory, disk or processes.",
    )
