"""Rich results, in containers."""

from __future__ import annotations

from borrowed import borrow

globals().update(
    borrow(
        "test_rich_results",
        only={
            "test_hostile_forms_arrive_as_they_were_made",
            "test_several_displays_keep_their_order_among_each_other",
            "test_too_much_in_all_says_how_much",
            "test_a_repr_that_raises_or_hangs_or_ends_the_interpreter",
            "test_a_guest_that_writes_its_own_display_frames_is_bounded",
            "test_rich_results_in_a_restricted_session",
        },
    )
)
