from __future__ import annotations

from sandboxd.events import Outcome, ProgramError, Result
from sandboxd.log.texts import Texts


def result(size: int) -> Result:
    return Result(Outcome.ERROR, error=ProgramError("E", "m", "x" * size))


def test_the_oldest_are_crowded_out() -> None:
    texts = Texts(max_bytes=20_000)
    for number in range(10):
        texts.keep(f"e-{number}", "s", result(1000))
    kept = [number for number in range(10) if texts.get(f"e-{number}")]
    assert kept == [7, 8, 9]


def test_one_that_is_too_large_crowds_out_nothing() -> None:
    texts = Texts(max_bytes=20_000)
    texts.keep("small", "s", result(10))
    texts.keep("large", "s", result(1_000_000))
    assert texts.get("small")
    assert texts.get("large") is None


def test_dropping_frees_room() -> None:
    texts = Texts(max_bytes=10_000)
    for number in range(100):
        texts.keep(f"e-{number}", "s", result(1000))
        texts.drop(f"e-{number}")
    texts.drop("unknown")
    texts.keep("last", "s", result(1000))
    assert texts.get("last")


def test_forgetting_takes_one_session_only() -> None:
    texts = Texts()
    texts.keep("a", "s-1", result(1))
    texts.keep("b", "s-2", result(1))
    texts.forget("s-1")
    texts.forget("s-1")
    assert texts.get("a") is None
    assert texts.get("b")
