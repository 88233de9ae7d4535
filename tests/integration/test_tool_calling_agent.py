"""Agents with tools on the real daemon: by code and by JSON calls, with a scripted model and with a server over real HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from replay_server import Reply, replaying
from sandboxd_client import (
    AsyncCodeAgent,
    AsyncSandbox,
    AsyncScriptedModel,
    AsyncToolCallingAgent,
    CodeAgent,
    Message,
    ModelReply,
    OpenAICompatible,
    Sandbox,
    ScriptedModel,
    ToolCallingAgent,
    ToolState,
    async_probe_model,
    make_agent,
    probe_model,
    tool,
)
from sandboxd_client.agent import AgentOutcome, ToolCallsFinished, ToolCallsParsed, ToolProgress
from sandboxd_client.models import TokenUsage, ToolCall
from tool_desk import records

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Daemon

pytestmark = pytest.mark.userns


def price(item: str, count: int = 1) -> float:
    """Return what items cost together.

    Args:
        item: pen or book.
        count: how many.
    """
    return {"pen": 1.5, "book": 10.0}[item] * count


def send(to: str) -> str:
    """Send a mail."""
    sent.append(to)
    return "sent"


async def stock(item: str) -> int:
    """Return how many there are."""
    await asyncio.sleep(0)
    return len(item)


sent: list[str] = []
TOOLS = [price, send, stock]


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    sent.clear()


def block(code: str) -> str:
    return f"Thought.\n```python\n{code}\n```"


def calls(*wanted: tuple[str, Any], text: str = "") -> ModelReply:
    made = tuple(
        ToolCall(name, arguments if isinstance(arguments, str) else json.dumps(arguments), f"id-{at}")
        for at, (name, arguments) in enumerate(wanted)
    )
    return ModelReply(text, made, TokenUsage(10, 5))


ANSWER = ("final_answer", {"answer": 13.0})


def test_code_calls_tools_and_the_prompt_declares_them(daemon: Daemon) -> None:
    model = ScriptedModel([block("a = price('pen', 2)\nb = await stock('pen')\nfinal_answer(a + b)")])
    heard: list[Any] = []
    direct = tool(send, name="by_hand", callers="direct")
    with Sandbox(address=daemon.address, tools=[price, stock, direct]) as sandbox:
        result = CodeAgent(model, sandbox, on_event=heard.append).run("Count.")
    assert (result.outcome, result.answer) == (AgentOutcome.ANSWERED, 6.0)
    prompt = model.calls[0][0].content
    assert "def price(item: str, count: int = 1) -> float:" in prompt
    assert "async def stock(item: str) -> int:" in prompt
    assert "count: how many." in prompt
    assert "may call them 100 times" in prompt
    assert "by_hand" not in prompt
    assert model.offered == [()]
    progress = [event.event for event in heard if isinstance(event, ToolProgress)]
    assert [one.tool for one in progress] == ["price", "price", "stock", "stock"]
    saved = result.to_json()["steps"][0]["execution"]["tool_calls"]
    assert [(use["tool"], use["state"]) for use in saved] == [("price", "finished"), ("stock", "finished")]


def test_a_prompt_without_tools_says_nothing_of_them(daemon: Daemon) -> None:
    model = ScriptedModel([block("final_answer(1)")])
    with Sandbox(address=daemon.address) as sandbox:
        CodeAgent(model, sandbox).run("Count.")
    assert "ToolError" not in model.calls[0][0].content


def test_after_a_failing_block_the_model_hears_what_took_effect(daemon: Daemon) -> None:
    replies = [
        block("send('a')\nsend('b')\nprice('lamp')"),
        block("final_answer(price('pen'))"),
    ]
    model = ScriptedModel(replies)
    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        result = CodeAgent(model, sandbox).run("Send.")
    told = model.calls[1][-1].content
    assert "- send: finished, 2 times\n- price: failed (KeyError)" in told
    assert "do not call it again for the same thing" in told
    assert sent == ["a", "b"]
    assert result.answer == 1.5


def test_a_denied_and_a_cut_off_call_are_told_as_such(daemon: Daemon) -> None:
    replies = [
        block("send('a')\nprice('pen', count='x')"),
        block("import asyncio\nsend('b')\nx = tools.price.aio('pen')\nraise KeyError(1)"),
        block("final_answer(0)"),
    ]
    model = ScriptedModel(replies)
    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        CodeAgent(model, sandbox).run("Send.")
    first, second = model.calls[1][-1].content, model.calls[2][-1].content
    assert "- send: finished\n- price: denied, so not run (TOOL_ARGUMENTS)" in first
    assert "- send: finished\n- price: " in second


def test_json_calls_run_in_parallel_through_the_daemon(daemon: Daemon, tmp_path: Path) -> None:
    together = threading.Barrier(3)

    def meet(x: int) -> int:
        """Meet."""
        together.wait(30)
        return x

    heard: list[Any] = []
    model = ScriptedModel(
        [
            calls(("meet", {"x": 1}), ("meet", {"x": 2}), ("meet", {"x": 3}), text="All at once."),
            calls(ANSWER),
        ]
    )
    with Sandbox(address=daemon.address, tools=[meet]) as sandbox:
        result = ToolCallingAgent(model, sandbox, on_event=heard.append).run("Meet.")
    assert (result.outcome, result.answer) == (AgentOutcome.ANSWERED, 13.0)
    assert [one.name for one in model.offered[0]] == ["meet", "final_answer"]
    assert model.offered[0][0].parameters["properties"] == {"x": {"type": "integer"}}
    told = model.calls[1][-4:]
    assert told[0].tool_calls == (
        ToolCall("meet", '{"x": 1}'),
        ToolCall("meet", '{"x": 2}'),
        ToolCall("meet", '{"x": 3}'),
    )
    assert told[1:] == tuple(Message("tool", str(n), tool_call_id=f"id-{n - 1}") for n in (1, 2, 3))
    assert [type(event) for event in heard if isinstance(event, ToolCallsParsed | ToolCallsFinished)] == [
        ToolCallsParsed,
        ToolCallsFinished,
        ToolCallsParsed,
    ]
    assert sum(isinstance(event, ToolProgress) for event in heard) == 6
    assert result.steps[0].thought == "All at once."
    assert [one.result.state for one in result.steps[0].calls] == [ToolState.FINISHED] * 3
    result.save(tmp_path / "run.json")
    saved = json.loads((tmp_path / "run.json").read_text())
    assert [one["state"] for one in saved["steps"][0]["calls"]] == ["finished"] * 3
    assert saved["steps"][1]["calls"][0]["tool"] == "final_answer"


async def test_wrong_calls_are_told_and_repaired(daemon: Daemon) -> None:
    by_code = tool(price, name="only_code", callers="code")
    model = AsyncScriptedModel(
        [
            calls(
                ("price", {"item": 3}),
                ("price", "{broken"),
                ("absent", {}),
                ("only_code", {"item": "pen"}),
                ("price", {"item": "lamp"}),
            ),
            ModelReply("I think it is 12."),
            calls(("price", {"item": "book"}), ANSWER),
            calls(("final_answer", "13")),
        ]
    )
    async with AsyncSandbox(address=daemon.address, tools=[*TOOLS, by_code]) as sandbox:
        result = await AsyncToolCallingAgent(model, sandbox).run("Price.")
    assert [one.name for one in model.offered[0]] == ["price", "send", "stock", "final_answer"]
    told = [message.content for message in model.calls[1][-5:]]
    assert "TOOL_ARGUMENTS" in told[0]
    assert "Correct the arguments" in told[0]
    assert "TOOL_ARGUMENTS" in told[1]
    assert "TOOL_UNKNOWN" in told[2]
    assert "TOOL_UNKNOWN" in told[3]
    assert "KeyError" in told[4]
    assert "calls no tool" in model.calls[2][-1].content
    assert model.calls[2][-1].role == "user"
    assert model.calls[3][-2].content == "10.0"
    assert "alone" in model.calls[3][-1].content
    assert (result.outcome, result.answer) == (AgentOutcome.ANSWERED, 13)


def test_small_models_write_calls_as_text(daemon: Daemon) -> None:
    model = ScriptedModel(
        [
            'I look.\n```json\n{"name": "price", "arguments": {"item": "pen"}}\n{"name": "price", "arguments": {"item": "book"}}\n```',
            '<tool_call>\n{"name": "final_answer", "arguments": {"answer": "11.5"}}\n</tool_call>',
        ]
    )
    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        result = ToolCallingAgent(model, sandbox).run("Price.")
    assert result.answer == "11.5"
    assert result.steps[0].source == "json_call"
    assert model.calls[1][-1] == Message("user", "Results:\nprice: 1.5\nprice: 10.0")


def test_code_inside_of_json_is_never_run(daemon: Daemon) -> None:
    model = ScriptedModel([calls(("python", {"code": "send('x')"})), block("send('y')"), calls(ANSWER)])
    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        result = ToolCallingAgent(model, sandbox).run("Send.")
    assert sent == []
    assert result.steps[0].calls[0].result.code == "TOOL_UNKNOWN"
    assert all(step.execution is None for step in result.steps)


def test_the_log_has_each_call_of_both_agents_and_no_data_of_them(daemon: Daemon) -> None:
    wrong = ("price", {"item": "sk-argument", "count": "x"})
    model = ScriptedModel(
        [calls(("price", {"item": "sk-argument"}), ("price", {"item": "pen"}), wrong), calls(ANSWER)]
    )
    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        ToolCallingAgent(model, sandbox).run("Price.")
        CodeAgent(ScriptedModel([block("final_answer(price('book'))")]), sandbox).run("Price.")
        session = sandbox.display_id
    begun = records(daemon.state_dir, "tool_call", session=session)
    done = records(daemon.state_dir, "tool_done", session=session)
    refused = records(daemon.state_dir, "tool_refused", session=session)
    assert [one["tool"] for one in begun] == ["price"] * 3
    assert {one["call_id"] for one in begun} == {one["call_id"] for one in done}
    assert len(refused) == 1
    logged = b"".join(path.read_bytes() for path in (daemon.state_dir / "log").glob("*"))
    assert b"sk-argument" not in logged


def test_budgets_end_a_run_and_the_last_step_is_announced(daemon: Daemon) -> None:
    replies = [calls(("price", {"item": "pen"})) for _ in range(5)]
    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        model = ScriptedModel(replies)
        result = ToolCallingAgent(model, sandbox, max_steps=2).run("Price.")
        assert result.outcome is AgentOutcome.MAX_STEPS
        assert model.calls[1][-1].content == "1.5\nOne step is left: call final_answer in it."
        result = ToolCallingAgent(ScriptedModel(replies), sandbox, max_tokens=20).run("Price.")
        assert (result.outcome, len(result.steps)) == (AgentOutcome.TOKEN_BUDGET, 2)
        with pytest.raises(ValueError, match="positive"):
            ToolCallingAgent(model, sandbox, max_steps=0)


def test_a_lost_sandbox_ends_the_run_with_its_code(daemon: Daemon) -> None:
    sandbox = Sandbox(address=daemon.address, tools=TOOLS).open()

    def closing(_: Any) -> ModelReply:
        sandbox.close()
        return calls(("price", {"item": "pen"}))

    result = ToolCallingAgent(ScriptedModel([closing]), sandbox).run("Price.")
    assert result.outcome is AgentOutcome.SANDBOX_ERROR
    assert result.failure is not None
    assert result.failure.code == "CLOSED"


async def test_two_agents_at_once_keep_their_tools_apart(daemon: Daemon) -> None:
    async def work(number: int) -> Any:
        async def mine(x: int) -> int:
            """Give this agent's number."""
            await asyncio.sleep(0.01)
            return number * 100 + x

        async with AsyncSandbox(address=daemon.address, tools=[mine]) as sandbox:
            if number % 2:
                model = AsyncScriptedModel([block("final_answer([await mine(i) for i in range(3)])")])
                return (await AsyncCodeAgent(model, sandbox).run("Go.")).answer
            model = AsyncScriptedModel(
                [
                    calls(*[("mine", {"x": i}) for i in range(3)]),
                    lambda messages: calls(
                        ("final_answer", {"answer": [int(one.content) for one in messages[-3:]]})
                    ),
                ]
            )
            return (await AsyncToolCallingAgent(model, sandbox).run("Go.")).answer

    answers = await asyncio.gather(*[work(number) for number in range(4)])
    assert answers == [[number * 100 + i for i in range(3)] for number in range(4)]


def _event(**delta: Any) -> bytes:
    finish = delta.pop("finish", None)
    return (
        b"data: "
        + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode()
        + b"\n\n"
    )


def _call(index: int, **function: str) -> dict[str, Any]:
    told = {"id": f"call_{index}_abc"} if "name" in function else {}
    return {"index": index, **told, "type": "function", "function": function}


def test_native_tool_calls_of_a_real_server(daemon: Daemon) -> None:
    first = [
        _event(role="assistant", content=None),
        _event(tool_calls=[_call(0, name="price", arguments="")]),
        _event(tool_calls=[_call(0, arguments='{"item": "p')]),
        _event(tool_calls=[_call(0, arguments='en"}')]),
        _event(tool_calls=[_call(1, name="price", arguments='{"item": "book"}')]),
        _event(finish="tool_calls"),
        b"data: [DONE]\n\n",
    ]
    last = [
        _event(tool_calls=[_call(0, name="final_answer", arguments='{"answer": 11.5}')]),
        _event(finish="tool_calls"),
        b"data: [DONE]\n\n",
    ]
    with (
        replaying(Reply(chunks=first), Reply(chunks=last)) as replay,
        Sandbox(address=daemon.address, tools=TOOLS) as sandbox,
    ):
        model = OpenAICompatible("m", replay.base_url, "key")
        result = ToolCallingAgent(model, sandbox).run("Price.")
    assert result.answer == 11.5
    asked = replay.requests[0].body
    assert [one["function"]["name"] for one in asked["tools"]] == ["price", "send", "stock", "final_answer"]
    assert asked["tools"][0]["function"]["parameters"]["properties"]["item"]["type"] == "string"
    again = replay.requests[1].body["messages"]
    assert again[-3]["tool_calls"][0] == {
        "id": "call_0_abc",
        "type": "function",
        "function": {"name": "price", "arguments": '{"item": "pen"}'},
    }
    assert again[-2:] == [
        {"role": "tool", "content": "1.5", "tool_call_id": "call_0_abc"},
        {"role": "tool", "content": "10.0", "tool_call_id": "call_1_abc"},
    ]


def test_broken_arguments_do_not_break_the_conversation(daemon: Daemon) -> None:
    first = [
        _event(tool_calls=[_call(0, name="price", arguments='{"item": ')]),
        _event(finish="tool_calls"),
        b"data: [DONE]\n\n",
    ]
    last = [
        _event(tool_calls=[_call(0, name="final_answer", arguments='{"answer": 1}')]),
        _event(finish="stop"),
        b"data: [DONE]\n\n",
    ]
    with (
        replaying(Reply(chunks=first), Reply(chunks=last)) as replay,
        Sandbox(address=daemon.address, tools=TOOLS) as sandbox,
    ):
        result = ToolCallingAgent(OpenAICompatible("m", replay.base_url), sandbox).run("Price.")
    assert result.answer == 1
    [call] = replay.requests[1].body["messages"][-2]["tool_calls"]
    assert call["function"]["arguments"] == "{}"
    assert "TOOL_ARGUMENTS" in replay.requests[1].body["messages"][-1]["content"]


CODE = [
    block("final_answer(3 * shop_price('pen') + 2 * shop_price('book'))"),
    block("final_answer(max(['pen', 'book', 'lamp', 'chair'], key=shop_stock))"),
]
PROSE = ["I cannot."] * 4
JSON = [
    calls(("shop_price", {"item": "pen"}), ("shop_price", {"item": "book"})),
    calls(("final_answer", {"answer": 32.75})),
    calls(*[("shop_stock", {"item": item}) for item in ("pen", "book", "lamp", "chair")]),
    calls(("final_answer", {"answer": "Lamp."})),
]


def test_a_probe_finds_the_form_that_a_model_masters(daemon: Daemon) -> None:
    with Sandbox(address=daemon.address, tools=TOOLS) as sandbox:
        able = probe_model(ScriptedModel(CODE, name="able"), sandbox)
        assert (able.style, able.code, able.json, able.usable) == ("code", 2, None, True)
        small = probe_model(ScriptedModel([*PROSE, *PROSE, *JSON], name="small"), sandbox)
        assert (small.style, small.code, small.json, small.usable) == ("json", 0, 2, True)
        unable = probe_model(ScriptedModel(PROSE * 4, name="unable"), sandbox)
        assert (unable.style, unable.usable) == ("code", False)
        assert [one.name for one in sandbox.tools] == ["price", "send", "stock"]
        assert sandbox.run_code("price('pen')").text == "1.5"
        model = ScriptedModel([])
        assert isinstance(make_agent(model, sandbox, able, step_timeout_seconds=1.0), CodeAgent)
        assert isinstance(make_agent(model, sandbox, small, step_timeout_seconds=1.0), ToolCallingAgent)
        assert isinstance(make_agent(model, sandbox, "json"), ToolCallingAgent)


async def test_the_probe_on_an_event_loop(daemon: Daemon) -> None:
    async with AsyncSandbox(address=daemon.address) as sandbox:
        assert (await async_probe_model(AsyncScriptedModel(CODE), sandbox)).style == "code"
        assert sandbox.tools == ()
