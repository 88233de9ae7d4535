"""stdout, stderr and stdin of cells, and what cells do to them."""

from __future__ import annotations

import pytest

from tests.guest_harness import Guest


def test_output_of_all_kinds_arrives_before_the_result(guest: Guest) -> None:
    guest.value("import os, subprocess, sys\nprint('text', end='')\nsys.stderr.write('warned')")
    assert guest.output() == "text"
    assert guest.output("stderr") == "warned"
    guest.value(
        "subprocess.run(['echo', 'child'])\nos.write(1, b'raw')\nsys.stdout.buffer.write(b'bytes'); None"
    )
    assert guest.output() == "child\nrawbytes"


def test_lone_surrogates_are_escaped(guest: Guest) -> None:
    guest.value("print('\\ud800 é')")
    assert guest.output() == "\\ud800 é\n"


@pytest.mark.parametrize(
    "vandalism",
    [
        "sys.stdout.close()",
        "sys.stdout = None",
        "sys.stdout = sys.stderr = object()",
        "sys.stdout = io.StringIO()",
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='latin-1')",
        "sys.stdout.detach()",
        "sys.stdin.close()",
        "os.close(1)",
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)",
        "open(1, 'w').close()",
        "del sys.stdout, sys.stdin",
        "os.close(0), os.close(1), os.close(2)",
    ],
)
def test_broken_streams_do_not_break_the_next_cell(guest: Guest, vandalism: str) -> None:
    guest.run(f"import io, os, sys\n{vandalism}")
    guest.output()
    assert guest.run("print('works')").ok
    assert guest.output() == "works\n"
    assert guest.run("import sys\nsys.stdin.read()").text == "''"


def test_what_a_replaced_stream_held_is_not_lost(guest: Guest) -> None:
    guest.value(
        "import io, sys\nkept = sys.stdout = io.TextIOWrapper(sys.stdout.buffer, write_through=False)\nprint('buffered')"
    )
    assert guest.output() == "buffered\n"
    assert guest.run("print('next')").ok


def test_a_reader_that_went_away_is_harmless() -> None:
    with Guest() as guest:
        guest.value("import os\nr, w = os.pipe()\nos.dup2(w, 1); os.close(r); os.close(w)")
        guest.run(
            "import os\nr, w = os.pipe()\nos.dup2(w, 1); os.close(r); os.close(w)\nprint('x' * 100_000)"
        )
        assert guest.run("print('back')").ok
        assert guest.output().endswith("back\n")
