"""Output while the code runs, in containers."""

from __future__ import annotations

from borrowed import borrow

# Init passes output on as it comes: a reader that is behind gets it in the pieces in which it was printed.
globals().update(
    borrow("test_streaming", differ={"test_a_reader_that_is_behind_gets_pieces_of_16_to_64_kib"})
)
