"""The clock of a snippet while the client runs a tool, in containers."""

from __future__ import annotations

from borrowed import borrow

globals().update(
    borrow(
        "test_tools_clock",
        only={
            "test_a_tool_may_take_longer_than_the_wall_limit",
            "test_what_is_left_of_the_limit_holds_after_the_answer",
            "test_waiting_is_bounded_in_all_and_then_the_clock_runs",
            "test_the_processor_s_clock_goes_on",
        },
    )
)
