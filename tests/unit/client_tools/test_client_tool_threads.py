"""The threads of tools: bounded, reused, replaced where one hangs, and in the caller's context."""

from __future__ import annotations

import contextvars
import threading
import time

import pytest
from sandboxd_client.tools import threads
from sandboxd_client.tools.threads import ToolThreads

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


def names() -> set[int]:
    return {thread.ident or 0 for thread in threading.enumerate() if thread.name == "sandboxd-tool"}


def test_no_more_threads_than_the_bound_and_all_is_done():
    before = names()
    pool = ToolThreads(limit=3)
    most = []

    def work(number: int) -> int:
        most.append(len(names() - before))
        time.sleep(0.005)
        return number

    tickets = [pool.submit(lambda number=number: work(number)) for number in range(30)]
    assert [ticket.future.result(30) for ticket in tickets] == list(range(30))
    assert max(most) <= 3


def test_a_thread_that_hangs_gives_its_place_to_another():
    pool = ToolThreads(limit=1)
    release = threading.Event()
    hanging = pool.submit(release.wait)
    while not hanging.future.running():
        time.sleep(0.001)
    waiting = pool.submit(lambda: "ran")
    assert pool.give_up(hanging)
    assert waiting.future.result(30) == "ran"
    assert not pool.give_up(hanging)
    release.set()
    assert hanging.future.result(30)
    again = [pool.submit(lambda: "ran") for _ in range(5)]
    assert [one.future.result(30) for one in again] == ["ran"] * 5
    assert pool._held == 0


def test_what_has_not_begun_never_begins_once_it_is_given_up():
    pool = ToolThreads(limit=1)
    release, ran = threading.Event(), threading.Event()
    first = pool.submit(release.wait)
    second = pool.submit(ran.set)
    assert not pool.give_up(second)
    release.set()
    first.future.result(30)
    assert pool.submit(lambda: 1).future.result(30) == 1
    assert not ran.is_set()


def test_too_many_that_hang_are_an_error_that_says_so():
    pool = ToolThreads(limit=1, held_limit=2)
    release = threading.Event()
    hanging = []
    for _ in range(2):
        hanging.append(pool.submit(release.wait))
        while not hanging[-1].future.running():
            time.sleep(0.001)
        assert pool.give_up(hanging[-1])
    with pytest.raises(RuntimeError, match="2 threads hang"):
        pool.submit(lambda: 1)
    release.set()
    for one in hanging:
        one.future.result(30)
    while pool._held:
        time.sleep(0.001)
    assert pool.submit(lambda: 1).future.result(30) == 1


def test_exceptions_and_context_come_along():
    pool = ToolThreads()
    WHO.set("caller")
    assert pool.submit(WHO.get).future.result(30) == "caller"

    def exits() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        pool.submit(exits).future.result(30)
    assert pool.submit(lambda: 1).future.result(30) == 1


def test_idle_threads_end(monkeypatch):
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.02)
    before = names()
    pool = ToolThreads()
    pool.submit(lambda: 1).future.result(30)
    until = time.monotonic() + 30
    while names() - before and time.monotonic() < until:
        time.sleep(0.01)
    assert names() - before == set()
    assert pool.submit(lambda: 2).future.result(30) == 2


def test_many_callers_at_once_lose_nothing():
    pool = ToolThreads(limit=4)
    done: list[int] = []

    def call(start: int) -> None:
        tickets = [pool.submit(lambda at=at: at) for at in range(start, start + 50)]
        done.extend(ticket.future.result(30) for ticket in tickets)

    callers = [threading.Thread(target=call, args=(start,)) for start in range(0, 400, 50)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(done) == list(range(400))
    assert pool._waiting == 0
