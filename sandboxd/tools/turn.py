"""The tool calls of one execution: from a guest's claim to its answer, and the waiting that stops its clock."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Callable

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import ToolState, ToolUse
from sandboxd.executors.base import GuestCall, ToolAnswer, ToolTally
from sandboxd.tools.broker import Broker, Emit, Out
from sandboxd.tools.calls import CUT_OFF, Ended, failed, refused

_logger = logging.getLogger(__name__)
KEPT_USES = 256
_REFUSALS_AT_ONCE = 32
_REFUSAL_SECONDS = 0.05
"""How late each further call of a snippet that was for nothing is answered: who goes on all the same goes at a walk."""
_WAITED = "the waiting time (tool_wait) of this snippet is used up"
_Reply = Callable[[ToolAnswer], None]


class _Slot:
    """One call's place in the tally."""

    __slots__ = ("answer", "began", "call_id", "ended", "number", "out", "tool")

    def __init__(self, call_id: str, call: GuestCall, answer: _Reply, began: float) -> None:
        self.call_id = call_id
        self.number = call.number
        self.tool = call.tool
        self.answer = answer
        self.began = began
        self.out: Out | None = None
        self.ended: ToolUse | None = None


class Turn:
    """The port of one execution; see `ToolPort`."""

    def __init__(self, broker: Broker, execution_id: str, emit: Emit) -> None:
        self._broker = broker
        self._caller = dataclasses.replace(broker.caller, execution_id=execution_id)
        self._emit = emit
        self._budget = broker.new_budget()
        self._on_wait: Callable[[bool], None] = lambda _: None
        self._loop = asyncio.get_running_loop()
        self._slots: list[_Slot] = []
        self._live: dict[int, _Slot] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._left_out = self._refusals = 0
        self._unrecorded: Counter[str] = Counter()
        self._outside = 0
        self._wait_left = broker.limits.tool_wait_seconds
        self._waiting_since = 0.0
        self._wait_timer: asyncio.TimerHandle | None = None
        self._over = False

    def begin(self, on_wait: Callable[[bool], None]) -> None:
        """See `ToolPort.begin`."""
        self._on_wait = on_wait

    def call(self, call: GuestCall, answer: _Reply) -> None:
        """See `ToolPort.call`."""
        slot = _Slot(self._broker.new_id(), call, answer, self._loop.time())
        if len(self._slots) < KEPT_USES:
            self._slots.append(slot)
        else:
            self._left_out += 1
        self._live[call.number] = slot
        task = self._loop.create_task(self._carry(slot, call.arguments_json))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def drop(self, number: int) -> None:
        """See `ToolPort.drop`."""
        slot = self._live.get(number)
        if slot is not None:
            self._cut_off(slot, "cancelled")
            answer = ToolAnswer(number, "", "", CUT_OFF.name, CUT_OFF.message)
            self._at_a_walk(lambda: slot.answer(answer))

    def finish(self) -> ToolTally:
        """See `ToolPort.finish`."""
        self._over = True
        for slot in list(self._live.values()):
            self._cut_off(slot, "execution_ended")
        for code, times in self._unrecorded.items():
            self._broker.refuse("", code, self._caller, times)
        self._unrecorded.clear()
        uses = tuple(slot.ended for slot in self._slots if slot.ended is not None)
        return ToolTally(uses, self._left_out, self._budget.hit)

    def _cut_off(self, slot: _Slot, reason: str) -> None:
        self._close(slot, CUT_OFF)  # first: nobody inside is to be answered
        if slot.out is not None:
            self._broker.end(slot.out, CUT_OFF, reason)

    async def _carry(self, slot: _Slot, arguments: str) -> None:
        """Take a call to its client, or refuse it: whatever goes wrong here, the guest has an answer."""
        try:
            await self._try(slot, arguments)
        except SandboxdError as error:
            self._refuse(slot, error)
        except Exception:
            _logger.exception("a tool call failed", extra={"session": self._caller.session})
            self._refuse(slot, SandboxdError(Code.INTERNAL, "the daemon failed; its log tells why"))

    async def _try(self, slot: _Slot, arguments: str) -> None:
        self._check_wait()
        admitted = await self._broker.admit(slot.tool, arguments, self._caller, self._budget)
        if self._is_closed(slot):
            return
        slot.out = await self._broker.issue(
            slot.call_id, admitted, self._caller,
            budget=self._budget, emit=self._emit,
            wanted=lambda: not self._is_closed(slot), on_end=lambda ended: self._ended(slot, ended),
        )  # fmt: skip
        if slot.out is not None:
            self._stand()

    def _refuse(self, slot: _Slot, error: SandboxdError) -> None:
        ended = refused(error)
        if self._is_closed(slot):
            return
        if self._refusals < _REFUSALS_AT_ONCE:
            self._broker.refuse(slot.tool, ended.code, self._caller)
        else:
            self._unrecorded[ended.code] += 1
        self._at_a_walk(lambda: self._reply(slot, ended))

    def _at_a_walk(self, act: Callable[[], None]) -> None:
        """Answer what was for nothing: the first ones of a snippet at once, the others late."""
        self._refusals += 1
        if self._refusals <= _REFUSALS_AT_ONCE:
            act()
        else:
            self._loop.call_later(_REFUSAL_SECONDS, act)

    def _ended(self, slot: _Slot, ended: Ended) -> None:
        self._outside -= 1
        if not self._outside:
            self._go_on()
        self._reply(slot, ended)

    def _reply(self, slot: _Slot, ended: Ended) -> None:
        if self._is_closed(slot):
            return
        self._close(slot, ended)
        if ended.value is not None:
            slot.answer(ToolAnswer(slot.number, ended.value.text))
        else:
            slot.answer(ToolAnswer(slot.number, "", ended.code, ended.name, ended.message))

    def _is_closed(self, slot: _Slot) -> bool:
        return slot.ended is not None

    def _close(self, slot: _Slot, ended: Ended) -> None:
        if slot.ended is None:
            self._live.pop(slot.number, None)
            seconds = self._loop.time() - slot.began
            slot.ended = ToolUse(slot.call_id, slot.tool, ended.state, ended.why, seconds)

    def _check_wait(self) -> None:
        if self._wait_left <= 0:
            self._budget.hit = True
            raise SandboxdError(Code.TOOL_BUDGET, _WAITED)

    # ---- waiting --------------------------------------------------------------------------------------------

    def _stand(self) -> None:
        """One more call is with the client: the first one stops the clock."""
        self._outside += 1
        if self._outside == 1:
            self._waiting_since = self._loop.time()
            self._wait_timer = self._loop.call_later(self._wait_left, self._waited_out)
            self._on_wait(True)

    def _go_on(self) -> None:
        self._wait_left -= self._loop.time() - self._waiting_since
        if self._wait_timer is not None:
            self._wait_timer.cancel()
        if not self._over:
            self._on_wait(False)

    def _waited_out(self) -> None:
        """The waiting time is used up: no call is waited for any more."""
        self._budget.hit = True
        ended = failed(Code.TOOL_BUDGET, _WAITED, ToolState.TIMED_OUT)
        for slot in list(self._live.values()):
            if slot.out is not None:
                self._broker.end(slot.out, ended, "timeout")
