"""The corpus's attacks on the language: each refused or inert in its own layer alone (must-hold 2).

"Inert" is by its effects: the marker is not printed, no audit event is caused, nothing forbidden is held, no module is
changed. That the jail alone stops each of them is `tests/security/test_attacks.py`, which runs them with the screen off.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.static import corpus
from tests.static.harness import BARE, SCREENED, Lab, Ran

MARKER = "ESC" + "APED"
AST, RESTRICT = corpus.attacks("ast"), corpus.attacks("restrictedpython")
# Their marker stands for "this ran", and it may: the construct is plain Python that leads nowhere. What they would reach is
# watched all the same.
MAY_RUN = {
    "AST-058": "a default argument runs when its function is defined: in the job, as every other line",
    "AST-087": "input() finds no terminal, and pure has no such name",
    "RP-014": "tuple and sorted iterate in C over what the program made; nothing that must not be iterated is handed out",
    "RP-015": "a variable may begin with an underscore: no hook has a name that a program can spell",
    "RP-025": "a call with stars is Python's own: what is called was reached through guards already",
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("default") as one:
        yield one


def stopped(attack: dict[str, str], ran: Ran) -> bool:
    """Tell refused or inert."""
    shown = MARKER in ran.stdout and attack["id"] not in MAY_RUN
    return ran.status == "refused" or (ran.status == "ran" and not shown and not ran.events and not ran.loot)


@pytest.mark.parametrize("attack", AST, ids=lambda attack: attack["id"])
def test_the_screen_alone_stops_it(lab: Lab, attack: dict[str, str]) -> None:
    ran = lab.run(attack["code"], SCREENED)
    assert stopped(attack, ran), ran
    if attack["expect_code"] == "R" and ran.status == "refused":
        assert ran.refusals
        assert all(hint.split(":")[0].isdigit() for hint in ran.hints)


@pytest.mark.parametrize("attack", [*RESTRICT, *AST], ids=lambda attack: attack["id"])
def test_layer_2_alone_stops_it(lab: Lab, attack: dict[str, str]) -> None:
    ran = lab.run(attack["code"], BARE)
    assert stopped(attack, ran), ran


def test_the_whole_corpus_is_here() -> None:
    assert (len(AST), len(RESTRICT)) == (68, 13)
