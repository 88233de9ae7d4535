"""The files that a snippet made, in containers."""

from __future__ import annotations

from borrowed import borrow
from daemons import Daemon
from sandboxd_client import Outcome, Sandbox

globals().update(
    borrow(
        "test_files_made",
        only={
            "test_what_is_made_is_listed_with_its_facts",
            "test_a_change_that_leaves_every_count_as_it_was_is_found",
            "test_a_forged_time_hides_nothing",
            "test_what_the_client_puts_there_is_not_the_snippet_s",
            "test_however_the_snippet_ends",
            "test_hostile_trees_are_cut_and_said_to_be",
            "test_files_are_listed_in_a_restricted_session",
            "test_a_full_disk_is_no_hindrance",
        },
    )
)


def test_after_a_kill_in_a_container(daemon: Daemon) -> None:
    """The look for files has what is left of the deadline's bound; where gVisor needs longer, the result says so."""
    with Sandbox("unscreened", daemon.address) as sandbox:
        blocked = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\ntime.sleep(60)"
        done = sandbox.run_code(f"open('f', 'w').write('1')\n{blocked}", timeout=1)
        assert (done.outcome, done.variables_lost) == (Outcome.TIMEOUT_WALL, True)
        assert [file.path for file in done.files] == ["f"] or done.files_truncated
        assert sandbox.files.read("f") == "1"
