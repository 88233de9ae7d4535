"""Tricks with files, in containers. What gVisor's kernel makes of links and races is its own."""

from __future__ import annotations

from borrowed import borrow

globals().update(
    borrow(
        "test_files_tricks",
        only={
            "test_names_that_cannot_be_asked_for_are_shown_and_harmless",
            "test_swaps_in_mid_way_lead_nowhere",
            "test_a_full_disk_refuses_and_an_upload_leaves_nothing",
        },
    )
)
