"""Taking a snippet back: what the box is asked for and when, and what the result says. The box here keeps a journal."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import Evidence, Outcome, Result
from sandboxd.undo import BEFORE, SafetyNet

OK = Result(Outcome.OK)
FAILED = Result(Outcome.ERROR, Evidence("guest", "ValueError", "seen"))
KILLED = Result(Outcome.OOM, variables_lost=True)


@dataclass
class Snippet:
    execution_id: str = "execution-1"
    rollback_on_error: bool = False


class Box:
    """Does what it is told, and refuses what it is told to refuse."""

    def __init__(self, **refuses: Code) -> None:
        self.journal: list[str] = []
        self.variables_lost = False
        self._refuses = refuses

    def _do(self, what: str, name: str) -> None:
        assert name == BEFORE
        self.journal.append(what)
        if what in self._refuses:
            raise SandboxdError(self._refuses[what], f"no {what}")

    async def checkpoint(self, name: str) -> None:
        self._do("checkpoint", name)

    async def rollback(self, name: str) -> None:
        self._do("rollback", name)
        self.variables_lost = False

    async def drop_checkpoint(self, name: str) -> None:
        self._do("drop", name)


async def settled(
    box: Box, snippet: Snippet, result: Result, *, per_snippet: bool = False, records=None
) -> Result:
    took = [] if records is None else records
    net = SafetyNet(box, per_snippet=per_snippet, record=lambda *what: took.append(what))  # type: ignore[arg-type]
    async with net.under(snippet):
        box.journal.append("run")
        return await net.settle(snippet, result)


async def test_nothing_is_kept_where_nobody_asks_for_it():
    box = Box()
    assert await settled(box, Snippet(), KILLED) == KILLED
    assert box.journal == ["run"]


async def test_a_failing_snippet_is_taken_back_before_its_result_is_there():
    box, records = Box(), []
    result = await settled(box, Snippet(rollback_on_error=True), FAILED, records=records)
    assert box.journal == ["checkpoint", "run", "rollback", "drop"]
    assert (result.outcome, result.rolled_back, result.restored_from) == (Outcome.ERROR, True, "")
    assert records == [("rolled_back", "on_error", "execution-1")]


async def test_a_snippet_that_went_well_is_kept_and_its_checkpoint_let_go():
    box = Box()
    assert await settled(box, Snippet(rollback_on_error=True), OK) == OK
    assert box.journal == ["checkpoint", "run", "drop"]


@pytest.mark.parametrize("code", [Code.FORK_REFUSED, Code.FORK_LIMIT, Code.FORK_FAILED])
async def test_what_could_not_be_taken_back_does_not_start(code):
    box = Box(checkpoint=code)
    with pytest.raises(SandboxdError) as caught:
        await settled(box, Snippet(rollback_on_error=True), OK)
    assert (caught.value.code, caught.value.failure) == (code, FailureClass.NOT_STARTED)
    assert box.journal == ["checkpoint"]


async def test_a_rollback_that_failed_half_way_has_cost_the_variables():
    result = await settled(Box(rollback=Code.FORK_FAILED), Snippet(rollback_on_error=True), FAILED)
    assert (result.rolled_back, result.variables_lost) == (False, True)


async def test_a_rollback_that_did_not_happen_is_never_claimed():
    box = Box(rollback=Code.CHECKPOINT_NOT_FOUND)
    result = await settled(box, Snippet(rollback_on_error=True), FAILED)
    assert (result.rolled_back, result.variables_lost) == (False, False)
    assert result.evidence.detail == "seen; not rolled back: CHECKPOINT_NOT_FOUND: no rollback"


async def test_a_lost_interpreter_comes_back_by_the_policy():
    box = Box()
    result = await settled(box, Snippet(), KILLED, per_snippet=True)
    assert box.journal == ["checkpoint", "run", "rollback"], "the checkpoint stays: it is the session's last"
    assert (result.restored_from, result.variables_lost) == ("before:execution-1", False)
    assert not result.rolled_back, "nobody asked for that"


async def test_a_failing_snippet_under_the_policy_keeps_its_traces():
    box = Box()
    assert await settled(box, Snippet(), FAILED, per_snippet=True) == FAILED
    assert box.journal == ["checkpoint", "run"]


async def test_a_refused_checkpoint_of_the_policy_stops_nothing_and_the_loss_is_told():
    box, records = Box(checkpoint=Code.FORK_REFUSED), []
    result = await settled(box, Snippet(), KILLED, per_snippet=True, records=records)
    assert box.journal == ["checkpoint", "drop", "run"], "an older one would bring back what nobody expects"
    assert (result.variables_lost, result.restored_from) == (True, "")
    assert "not restored: FORK_REFUSED: no checkpoint" in result.evidence.detail
    assert records == [("checkpoint_refused", "FORK_REFUSED", "execution-1")]


async def test_both_at_once_need_one_checkpoint():
    box = Box()
    result = await settled(box, Snippet(rollback_on_error=True), KILLED, per_snippet=True)
    assert box.journal == ["checkpoint", "run", "rollback"]
    assert (result.rolled_back, result.restored_from, result.variables_lost) == (
        True,
        "before:execution-1",
        False,
    )


async def test_an_exception_on_the_way_lets_the_checkpoint_go():
    box, snippet = Box(), Snippet(rollback_on_error=True)
    net = SafetyNet(box, per_snippet=False, record=lambda *_: None)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        async with net.under(snippet):
            raise RuntimeError
    assert box.journal == ["checkpoint", "drop"]


async def test_an_interpreter_that_was_lost_in_between_comes_back_first_and_the_next_result_tells():
    box, snippets = Box(), [Snippet("execution-1"), Snippet("execution-2")]
    net = SafetyNet(box, per_snippet=True, record=lambda *_: None)  # type: ignore[arg-type]
    results = []
    for snippet in snippets:
        async with net.under(snippet):
            results.append(await net.settle(snippet, OK))
        box.variables_lost = True
    assert box.journal == ["checkpoint", "rollback", "checkpoint"]
    assert [result.restored_from for result in results] == ["", "before:execution-1"]


async def test_an_interpreter_whose_death_shows_only_when_it_is_to_be_cloned_comes_back_too():
    class Dying(Box):
        async def checkpoint(self, name: str) -> None:
            await super().checkpoint(name)
            if self.journal == ["checkpoint", "checkpoint"]:
                self.variables_lost = True
                raise SandboxdError(Code.FORK_FAILED, "it ended")

    box = Dying()
    net = SafetyNet(box, per_snippet=True, record=lambda *_: None)  # type: ignore[arg-type]
    results = []
    for snippet in (Snippet("execution-1"), Snippet("execution-2")):
        async with net.under(snippet):
            results.append(await net.settle(snippet, OK))
    assert box.journal == ["checkpoint", "checkpoint", "rollback", "checkpoint"]
    assert [result.restored_from for result in results] == ["", "before:execution-1"]


async def test_an_earlier_loss_without_a_checkpoint_is_told_and_nothing_that_ran_is_undone():
    box = Box()
    box.variables_lost = True
    told = Result(Outcome.OK, variables_lost=True)  # as the box says it, of the loss before
    assert await settled(box, Snippet(), told, per_snippet=True) == told
    assert box.journal == ["checkpoint", "run"]
    box.journal.clear()
    box.variables_lost = True
    failed = Result(Outcome.ERROR, variables_lost=True)
    result = await settled(box, Snippet(rollback_on_error=True), failed, per_snippet=True)
    assert (result.rolled_back, result.variables_lost, result.restored_from) == (True, True, "")
