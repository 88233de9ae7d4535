"""Threads for tools that block: bounded, started when needed, ended when idle, and none keeps the process from ending."""

from __future__ import annotations

import concurrent.futures
import contextvars
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

IDLE_SECONDS = 5.0
MAX_THREADS = 16
MAX_HELD_THREADS = 128


@dataclass(slots=True)
class Ticket:
    """One function on its way: `future` has its result; `given_up` says that its thread no longer counts."""

    function: Callable[[], Any]
    context: contextvars.Context
    future: concurrent.futures.Future[Any] = field(default_factory=concurrent.futures.Future)
    begun: bool = False
    given_up: bool = False


class ToolThreads:
    """Runs functions, `limit` at a time; more wait their turn. Any thread may use it.

    Python cannot end a thread. One whose call is over is given up: it runs on until its function returns, and another may
    take its place, up to `held_limit` threads that hang in all.
    """

    def __init__(self, limit: int = MAX_THREADS, held_limit: int = MAX_HELD_THREADS) -> None:
        self._limit = limit
        self._held_limit = held_limit
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Ticket] = queue.SimpleQueue()
        self._threads = 0  # that take work
        self._held = 0  # given up
        self._waiting = 0  # tickets that no thread has taken yet
        self._idle = 0

    def submit(self, function: Callable[[], Any]) -> Ticket:
        """Run a function in a thread, in a copy of the caller's context.

        Raises:
            RuntimeError: too many threads hang in functions whose calls are over.
        """
        ticket = Ticket(function, contextvars.copy_context())
        with self._lock:
            if self._held >= self._held_limit:
                raise RuntimeError(
                    f"{self._held} threads hang in tools whose calls are over: give tools time-outs."
                )
            self._waiting += 1
            self._queue.put(ticket)
            if self._idle < self._waiting and self._threads < self._limit:
                self._start()
        return ticket

    def give_up(self, ticket: Ticket) -> bool:
        """Wait no longer for a ticket; say whether its function still runs."""
        if ticket.future.cancel():
            return False
        with self._lock:
            if ticket.future.done() or ticket.given_up:
                return False
            ticket.given_up = True
            self._held += 1
            self._threads -= 1
            if self._waiting and self._threads < self._limit:
                self._start()
        return True

    def _start(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name="sandboxd-tool", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                ticket = self._queue.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    self._idle -= 1
                    if self._queue.empty():
                        self._threads -= 1
                        return
                continue
            with self._lock:
                self._idle -= 1
                self._waiting -= 1
            if not self._serve(ticket):
                return

    def _serve(self, ticket: Ticket) -> bool:
        """Run one ticket; say whether this thread still counts."""
        if ticket.future.set_running_or_notify_cancel():
            try:
                result = ticket.context.run(ticket.function)
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                ticket.future.set_exception(error)
            else:
                ticket.future.set_result(result)
        with self._lock:
            if ticket.given_up:
                self._held -= 1
            return not ticket.given_up
