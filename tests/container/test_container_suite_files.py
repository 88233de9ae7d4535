"""Files over the wire, in containers."""

from __future__ import annotations

from borrowed import borrow

globals().update(
    borrow(
        "test_front_files",
        only={
            "test_a_file_goes_in_and_comes_out",
            "test_an_upload_that_is_not_as_declared_leaves_nothing",
            "test_a_client_that_leaves_in_mid_upload_leaves_nothing",
            "test_a_link_out_of_work_is_not_followed",
            "test_what_is_no_regular_file_is_refused_and_does_not_hang",
            "test_stat_and_remove",
            "test_rename_and_make_directory",
        },
    )
)
