"""MATRIX.md is what the golden results say, and they say that nothing succeeds. The header of the corpus is strict."""

from __future__ import annotations

import golden
import matrix
import pytest
from attack import own, parse, sample
from controls import CONTROLS

GOOD = "# title: t\n# expect: B\n# unsandboxed: not-run\n\nprint(1)\n# --- next\nprint(2)\n"


def test_the_matrix_is_fresh(update: bool) -> None:
    if update:
        matrix.write()
    assert matrix.FILE.read_text() == matrix.render(), "run the tests of tests/security with --update-golden"


@pytest.mark.parametrize("name", matrix.CONFIGURATIONS)
def test_no_success_stands_in_it(name: str) -> None:
    results = golden.load(name)["results"]
    assert {key: by for key, by in results.items() if by.startswith(("SUCCEEDS", "documented as"))} == {}
    wanted = {one.name for one in (*own(), *sample()) if one.kind != "request"} - {"CTR-014"}
    assert results.keys() == wanted


def test_every_control_was_tried_against_every_attack() -> None:
    tried = golden.load("controls")["results"].keys()
    assert {one.name for one in CONTROLS if not one.closed and one.only != "user"} <= tried


def test_a_header_is_read() -> None:
    attack = parse("files/x", GOOD)
    assert (attack.title, attack.code, attack.next) == ("t", "print(1)\n", "\nprint(2)\n")


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("# title: t\n", ""), GOOD.replace("expect: B", "expect: Z"), GOOD.replace("# title", "# name"),
        GOOD.replace("# title: t\n", "# title: t\n# title: u\n"), GOOD.replace("--- next", "--- later"), "print(1)",
        GOOD + "# --- next\n3\n", GOOD.replace("# title: t\n", "# title: t\nprint(0)\n"),
        GOOD.replace("# title: t\n", "# title: t\n# limits: speed=3\n"), GOOD.replace("# title: t\n", "# title: t\n# outcome: fine\n"),
    ],
)  # fmt: skip
def test_a_header_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse("files/x", text)


def test_there_are_attacks_of_our_own() -> None:
    assert len(own()) >= 25
