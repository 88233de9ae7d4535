"""How many boxes wait: the rules, held against any sequence of demands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandboxd.launcher.shelf import Shelf


@dataclass(eq=False)
class Waiting:
    """What a shelf asks of a box."""

    waits: bool = True
    stale: bool = False
    size: int | None = None

    @property
    def sized(self) -> bool:
        return self.size is not None

    def fits(self, limits: dict[str, int] | None) -> bool:
        return self.size is None or (limits is not None and limits["size"] == self.size)


SMALL, LARGE = {"size": 1}, {"size": 2}


def shelf(target: int = 2, *boxes: Waiting, least: int = 2, most: int = 8) -> Shelf:
    made: Any = Shelf(environment=None, fresh=False, least=least, most=most, target=target)  # type: ignore[arg-type]
    made.waiting.extend(boxes)
    made.lowest = len(boxes)
    return made


def test_a_burst_of_any_size_doubles_the_target_at_most():
    some = shelf(2)
    some.missed = 64
    some.grow()
    assert (some.target, some.missed) == (4, 0)
    some.missed = 1
    some.grow()
    assert some.target == 5


def test_a_shelf_of_none_grows_to_one():
    some = shelf(0, least=0, most=1)
    some.missed = 9
    some.grow()
    assert some.target == 1


def test_half_of_what_nobody_took_goes_at_each_look():
    some = shelf(8, *(Waiting() for _ in range(8)))
    targets = []
    for _ in range(5):
        some.shrink()
        some.surplus()
        some.lowest = len(some.waiting)
        targets.append(some.target)
    assert targets == [4, 2, 2, 2, 2]


def test_what_was_taken_in_between_does_not_shrink_it():
    some = shelf(4, *(Waiting() for _ in range(4)))
    while some.pop(SMALL) is not None:
        pass
    some.waiting.extend(Waiting() for _ in range(4))
    some.shrink()
    assert some.target == 4


def test_stale_boxes_are_taken_last_and_let_go_when_others_wait():
    old, new = Waiting(stale=True), Waiting()
    some = shelf(2, old, new)
    assert some.lacks
    assert some.surplus() == []
    assert some.pop(SMALL) is new
    assert some.pop(SMALL) is old
    some = shelf(2, old, new, Waiting())
    assert not some.lacks
    assert some.surplus() == [old]


def test_dead_boxes_do_not_count():
    dead = Waiting(waits=False)
    some = shelf(1, dead)
    assert some.lacks
    assert some.surplus() == [dead]


@given(
    st.integers(0, 4),
    st.integers(0, 12),
    st.lists(st.one_of(st.integers(1, 100), st.just("look"), st.just("take"), st.just("build")), max_size=60),
)
def test_the_target_stays_within_its_bounds(least, more, demands):
    some = shelf(least, least=least, most=least + more)
    for demand in demands:
        if demand == "look":
            some.shrink()
            some.surplus()
        elif demand == "take":
            some.missed += some.pop(SMALL) is None
        elif demand == "build":
            if some.missed:
                some.grow()
            if some.lacks:
                some.waiting.append(Waiting())  # type: ignore[arg-type]
        else:
            some.missed += demand
        assert least <= some.target <= least + more
        assert len(some.waiting) <= least + more


def test_the_box_that_is_sized_for_the_limits_goes_first_and_any_other_size_never():
    plain, small, large = Waiting(), Waiting(size=1), Waiting(size=2)
    some = shelf(3, plain, large, small)
    assert [some.pop(SMALL), some.pop(SMALL), some.pop(SMALL)] == [small, plain, None]
    assert list(some.waiting) == [large]


def test_one_box_always_waits_for_any_size():
    some = shelf(2)
    some.limits = SMALL
    assert some.size_ahead() is None, "the first one fits all"
    some.waiting.append(Waiting())
    assert some.size_ahead() == SMALL
    some.waiting[0].size = 1
    assert some.size_ahead() is None


def test_a_box_of_a_size_that_nobody_asks_for_any_more_is_replaced():
    old, plain = Waiting(size=1), Waiting()
    some = shelf(2, old, plain)
    some.limits = LARGE
    assert some.lacks, "the one of the old size does not count"
    some.waiting.append(Waiting(size=2))
    assert some.surplus() == [old]
    assert not some.lacks
