"""Interrupts, whatever the session is doing, in containers."""

from __future__ import annotations

from borrowed import borrow

globals().update(
    borrow(
        "test_interrupts_any_time",
        only={
            "test_while_it_runs",
            "test_before_anything_ran",
            "test_twice_and_many_times",
            "test_files_are_served_around_an_interrupt",
            "test_a_caller_that_gives_up_ends_what_it_asked_for",
        },
    )
)
