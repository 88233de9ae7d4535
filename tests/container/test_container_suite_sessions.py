"""Sessions over the wire, in containers: what a container has a part in."""

from __future__ import annotations

from borrowed import borrow

globals().update(
    borrow(
        "test_front_session",
        only={
            "test_verdict_comes_first_then_output_then_the_result",
            "test_variables_live_from_one_snippet_to_the_next",
            "test_a_syntax_error_is_the_programs_error_not_a_denial",
            "test_a_denied_snippet_has_verdict_outcome_and_record",
            "test_a_second_execute_is_busy_and_the_first_goes_on",
            "test_interrupt_cancels_and_the_session_stays",
            "test_a_repeated_id_is_answered_and_not_run_again",
            "test_a_broken_stream_does_not_stop_the_execution",
            "test_an_outcome_waits_for_its_client",
            "test_a_new_stream_takes_over_and_the_old_one_is_told",
            "test_a_session_ends_with_its_lease",
            "test_the_lease_runs_only_after_the_execution",
            "test_close_ends_the_session_and_says_so",
            "test_close_in_mid_execution_leaves_one_outcome",
            "test_a_half_closed_stream_gets_its_result",
            "test_a_flood_of_output_is_bounded_and_counted",
            "test_run_opens_executes_and_closes",
            "test_a_broken_run_ends_with_an_outcome_and_closes",
        },
    )
)
