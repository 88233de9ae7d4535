"""The screener processes of one interpreter: lent out one text at a time, replaced when they fail.

`workers` are kept. A text that finds all of them busy waits a moment, which is many times what an honest text takes; if
none came free, one of them has a hostile text, and another process is started beside it, up to `_SURPLUS` more. So nobody
waits for the whole CPU budget of somebody else's text. What is more than `workers` ends as soon as it comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from sandboxd.policy import ScreenRules
from sandboxd.screen.process import ProcessSettings, ScreenProcess, ScreenProcessError
from sandboxd.screen.verdicts import Answer, read_answer

if TYPE_CHECKING:
    from sandboxd.screen.tools import Signatures

_CHECKS_PER_PROCESS = 2000  # what a parser leaks or fragments goes with its process
_PATIENCE_SECONDS = 0.02  # a text of 64 KiB takes about as long; a process takes four times that to start
_SURPLUS = 3


class Pool:
    """Processes of one interpreter. All methods belong to one event loop.

    Args:
        python: the interpreter's executable.
        settings: makes what each process is started with.
        workers: how many are kept.
        checks_per_process: after so many texts a process is replaced.
    """

    def __init__(
        self,
        python: str,
        settings: Callable[[], ProcessSettings],
        *,
        workers: int,
        checks_per_process: int = _CHECKS_PER_PROCESS,
    ) -> None:
        self.python = python
        self.python_version = ""
        self._settings = settings
        self._workers = workers
        self._checks_per_process = checks_per_process
        self._idle: list[ScreenProcess] = []
        self._running: set[ScreenProcess] = set()
        self._births = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[asyncio.Future[ScreenProcess]] = deque()
        self._closed = False

    async def start(self) -> dict[str, str]:
        """Start the processes that are kept; return what they could not switch on, with reasons.

        Raises:
            ScreenProcessError: one did not come up.
        """
        processes = [await self._spawned() for _ in range(self._workers)]
        self._idle += processes
        return processes[0].missing

    async def ask(
        self,
        code: str,
        digest: str,
        rules: ScreenRules,
        *,
        compiled: bool,
        signatures: Signatures | None = None,
    ) -> Answer:
        """Have a text checked by whichever process is free.

        Raises:
            ScreenProcessError: no process, or no answer, or one of another form.
        """
        process = await self._borrow()
        try:
            form, program = await process.ask(code, digest, rules, compiled=compiled, signatures=signatures)
            answer = read_answer(form, program, restricted=rules.restricted)
        except BaseException as error:
            # Whatever ends a loan early leaves the process in an unknown state; one that lies is not asked again.
            await asyncio.shield(self._end(process))
            if isinstance(error, (ValueError, KeyError, TypeError)):
                raise ScreenProcessError(f"the answer has another form: {error}") from None
            raise
        if form.get("recycle") or process.checks >= self._checks_per_process:
            self._own(self._end(process))
        else:
            self._give_back(process)
        return answer

    async def close(self) -> None:
        """End all processes; who waits for one gets an error. Idempotent."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in list(self._running):
            await self._end(process)
        self._refuse_all(ScreenProcessError("the screener is closed"))

    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the running screeners."""
        return tuple(sorted(process.pid for process in self._running))

    async def _borrow(self) -> ScreenProcess:
        if self._closed:
            raise ScreenProcessError("the screener is closed")
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            await self._end(process)
        turn: asyncio.Future[ScreenProcess] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._grow(self._workers)
        try:
            return await self._wait(turn)
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back(turn.result())
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(turn)

    async def _wait(self, turn: asyncio.Future[ScreenProcess]) -> ScreenProcess:
        most = self._workers + _SURPLUS
        while not turn.done() and len(self._running) + self._births < most:
            await asyncio.wait((turn,), timeout=_PATIENCE_SECONDS)
            if not turn.done() and not self._births:  # else one is on its way already
                self._grow(most)
        return await turn

    def _give_back(self, process: ScreenProcess) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(process)
                return
        if len(self._idle) < self._workers:
            self._idle.append(process)
        else:
            self._own(self._end(process))

    def _grow(self, most: int) -> None:
        """Start one process beside those that run, if fewer than `most` do."""
        if not self._closed and len(self._running) + self._births < most:
            self._births += 1
            self._own(self._start_one())

    async def _start_one(self) -> None:
        try:
            process = await self._spawned()
        except ScreenProcessError as error:
            self._births -= 1
            if not self._running and not self._births:
                self._refuse_all(error)
        except BaseException:
            self._births -= 1
            raise
        else:
            self._births -= 1
            self._give_back(process)

    async def _spawned(self) -> ScreenProcess:
        process = await ScreenProcess.start(self.python, self._settings())
        self._running.add(process)
        self.python_version = process.python_version
        return process

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refuse_all(self, error: ScreenProcessError) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)

    async def _end(self, process: ScreenProcess) -> None:
        """End a process; its successor is on its way before that, so that the next text need not wait for both."""
        self._running.discard(process)
        self._grow(self._workers + (_SURPLUS if self._waiting else 0))
        await process.kill()
