"""What a code agent's model writes gives exactly its expected output in containers too: the corpus, in a few sessions."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from borrowed import borrow
from daemons import Daemon
from engine import OwnEngine
from sandboxd_client import Outcome, Sandbox

from sandboxd.images import Source, build_image

pytestmark = pytest.mark.timeout(400)
BORROWED = borrow("test_corpus_snippets")
SNIPPETS, TOOLS, shown = BORROWED["SNIPPETS"], BORROWED["TOOLS"], BORROWED["shown"]
SESSIONS = 3  # the interpreter with pandas takes seconds of its own to come up in a new container


@pytest.fixture(scope="module")
def science(engine: OwnEngine) -> None:
    """The image of the shipped environment."""
    with resources.as_file(resources.files("sandboxd.environments") / "data-science.txt") as listed:
        build_image(
            engine.images, engine.socket, "data-science", Source(), Path(listed), progress=lambda _: None
        )


@pytest.fixture(scope="module")
def sessions(science: None, daemon: Daemon) -> Iterator[list[Sandbox]]:
    opened = [Sandbox("data-science", daemon.address, open_timeout=60) for _ in range(SESSIONS)]
    yield opened
    for one in opened:
        one.close()


@pytest.mark.parametrize("number", range(len(SNIPPETS)), ids=[one["id"] for one in SNIPPETS])
def test_snippet_gives_exactly_its_expected_output(sessions: list[Sandbox], number: int) -> None:
    snippet, sandbox = SNIPPETS[number], sessions[number % SESSIONS]
    if snippet["tools"]:
        assert sandbox.run_code(TOOLS).outcome is Outcome.OK
    execution = sandbox.run_code(snippet["code"])
    assert execution.outcome is Outcome.OK, (execution.error, execution.verdict)
    assert shown(execution).rstrip("\n") == snippet["expected_output"].rstrip("\n")
