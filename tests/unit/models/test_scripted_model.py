from __future__ import annotations

import pytest
from sandboxd_client._async.scripted_model import AsyncScriptedModel
from sandboxd_client._sync.scripted_model import ScriptedModel
from sandboxd_client.agent.code_end import CodeEnd
from sandboxd_client.models import Message, ModelError, ModelReply, TokenUsage


async def test_it_gives_texts_replies_and_functions_in_order():
    whole = ModelReply("whole", usage=TokenUsage(1, 2))
    model = AsyncScriptedModel(["text", whole, lambda messages: f"asked: {messages[-1].content}"], name="me")
    ask = [Message("user", "why?")]
    assert (await model.generate(ask)).text == "text"
    assert await model.generate(ask) is whole
    assert (await model.generate(ask)).text == "asked: why?"
    assert model.calls == [tuple(ask)] * 3
    with pytest.raises(ModelError, match=r"holds 3 replies") as caught:
        await model.generate(ask)
    assert caught.value.code == "MODEL_SCRIPT_ENDED"


def test_the_synchronous_form_streams_and_stops_like_a_server():
    said: list[str] = []
    model = ScriptedModel(["```python\n1\n```\nObservation: 2"])
    reply = model.generate([Message("user", "1234")], stop=CodeEnd(), on_text=said.append)
    assert reply.text == said[0] == "```python\n1\n```"
    assert reply.usage == TokenUsage(1, 4, estimated=True)
