"""The agent on the real daemon: what the loop's unit tests assume of a sandbox is so."""

from __future__ import annotations

import pytest
from sandboxd_client import AsyncSandbox, Outcome, Sandbox
from sandboxd_client._async.agent import AsyncCodeAgent
from sandboxd_client._async.scripted_model import AsyncScriptedModel
from sandboxd_client._sync.agent import CodeAgent
from sandboxd_client._sync.scripted_model import ScriptedModel
from sandboxd_client.agent import AgentOutcome, InputFile

pytestmark = pytest.mark.userns


def block(code: str) -> str:
    return f"Thought.\n```python\n{code}\n```"


def test_denial_traceback_and_deadline_are_told_and_repaired():
    replies = [
        block("import socket"),
        block("numbers = [int(word) for word in open('numbers.txt').read().split(',')]"),
        block("while True:\n    pass"),
        block(
            "open('sum.txt', 'w').write('7')\nfinal_answer(sum(int(w) for w in open('numbers.txt').read().split()))"
        ),
    ]
    model = ScriptedModel(replies)
    with Sandbox() as sandbox:
        agent = CodeAgent(model, sandbox, step_timeout_seconds=1.0)
        result = agent.run("Add the numbers.", files=[InputFile("numbers.txt", b"3 4")])
    assert [step.execution.outcome for step in result.steps] == [
        Outcome.DENIED,
        Outcome.ERROR,
        Outcome.TIMEOUT_WALL,
        Outcome.OK,
    ]
    told = [step.observation for step in result.steps]
    assert "line 1, column 8" in told[0]
    assert "socket" in told[0]
    assert "Hint:" in told[0]
    assert "invalid literal for int" in told[1]
    assert "took too long" in told[2]
    assert (result.outcome, result.answer) == (AgentOutcome.ANSWERED, 7)
    assert [(artifact.name, artifact.data) for artifact in result.artifacts] == [("sum.txt", b"7")]
    assert "- 'numbers.txt' (3 bytes)" in model.calls[0][1].content


async def test_a_second_run_builds_on_the_first():
    async with AsyncSandbox() as sandbox:
        first = await AsyncCodeAgent(AsyncScriptedModel([block("x = 41\nfinal_answer(x)")]), sandbox).run(
            "One."
        )
        second = await AsyncCodeAgent(AsyncScriptedModel([block("final_answer(x + 1)")]), sandbox).run("Two.")
    assert (first.answer, second.answer) == (41, 42)
    assert first.policy_digest == second.policy_digest != ""


def test_the_prompt_tells_the_truth_about_the_policy():
    model = ScriptedModel([block("import math\nfinal_answer(math.pi)")])
    with Sandbox() as sandbox:
        info = sandbox.policy_info()
        CodeAgent(model, sandbox).run("Pi.")
        prompt = model.calls[0][0].content
        allowed = prompt.split("You may import ", 1)[1].split(" and nothing else", 1)[0].split(", ")
        for name in allowed:
            assert sandbox.check(f"import {name}").allowed, name
    assert "math" in allowed
    assert info.python_version in prompt
