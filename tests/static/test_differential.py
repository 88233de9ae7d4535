"""Programs within the accepted subset give in plain CPython, screened, and screened and restricted the same (must-hold 3).

The same means: what is printed, the last value, the final answer, the type of an error. A probe whose name begins with
"refused:" is a loud gap: layer 2 must refuse it with a hint before it runs, never run it another way.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.static import corpus
from tests.static.corpus import Program
from tests.static.harness import BARE, PLAIN, RESTRICTED, SCREENED, WITH_ASYNC, Lab

PROBES = [one for one in corpus.probes() if ": refused: " not in one.name]
GAPS = [one for one in corpus.probes() if ": refused: " in one.name]
REGRESSIONS = corpus.regressions()
# What calls tools, and what needs files, runs through the real daemon.
SNIPPETS = [
    one
    for one in corpus.snippets(native=False)
    if not one["tools"] and not {"tempfile", "os"} & set(one["needs"])
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(**WITH_ASYNC) as one:
        yield one


@pytest.mark.parametrize("program", [*PROBES, *REGRESSIONS], ids=lambda program: program.name)
def test_the_same_in_plain_python_screened_and_restricted(lab: Lab, program: Program) -> None:
    plain = lab.run(program.source, PLAIN)
    assert (plain.status, plain.error) == ("ran", ""), plain.message
    for way in (SCREENED, RESTRICTED):
        here = lab.run(program.source, way)
        assert here.status == "ran", here.hints
        assert here.seen == plain.seen, here.message
        assert (here.events, here.loot) == ((), ())


@pytest.mark.parametrize("program", GAPS, ids=lambda program: program.name)
def test_a_gap_is_loud(lab: Lab, program: Program) -> None:
    assert lab.run(program.source, PLAIN).error == ""
    for way in (RESTRICTED, BARE):
        here = lab.run(program.source, way)
        assert here.status == "refused"
        assert all(len(hint) > 20 for hint in here.hints)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet["id"])
def test_an_agent_s_snippet_gives_what_it_gives_in_plain_python(lab: Lab, snippet: dict[str, str]) -> None:
    plain = lab.run(snippet["code"], PLAIN)
    assert (
        plain.stdout + (f"[final_answer] {plain.final}\n" if plain.final else "")
        == snippet["expected_output"]
    )
    here = lab.run(snippet["code"], RESTRICTED)
    assert here.status == "ran", here.hints
    assert (here.seen, here.final) == (plain.seen, plain.final)


def test_probes_cover_the_grammar() -> None:
    """Each kind of statement and expression that a policy can let through is in some probe."""
    assert corpus.node_types([*PROBES, *REGRESSIONS]) >= corpus.allowed_node_types()
