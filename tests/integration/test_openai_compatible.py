from __future__ import annotations

import asyncio
import json
import logging
import pickle
import socket
import subprocess
import sys
import time
import traceback

import pytest
from replay_server import RECORDED, Reply, recording, replaying
from sandboxd_client._async.openai_compatible import AsyncOpenAICompatible
from sandboxd_client._sync.openai_compatible import OpenAICompatible
from sandboxd_client.agent.code_end import CodeEnd
from sandboxd_client.models import Message, ModelError, TokenUsage, ToolCall
from sandboxd_client.models.retry import Backoff

KEY = "sk-this-must-not-be-seen"
ASK = [Message("system", "Write Python."), Message("user", "What is 6 * 7?")]
SOON = Backoff(retries=3, first_seconds=0.02, longest_seconds=0.05)


def event(content: str | None = None, *, finish: str | None = None, **more: object) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


HELLO = [event("Hel"), event("lo"), event(finish="stop"), b"data: [DONE]\n\n"]


def client(replay, **options) -> AsyncOpenAICompatible:
    options.setdefault("backoff", SOON)
    return AsyncOpenAICompatible("test-model", replay.base_url, KEY, **options)


async def failure(*replies: Reply, **options) -> tuple[ModelError, int]:
    """Return the error, and how many requests it took."""
    with replaying(*replies) as replay:
        with pytest.raises(ModelError) as caught:
            await client(replay, **options).generate(ASK)
        return caught.value, len(replay.requests)


NAMES = [json.loads(line)["name"] for line in RECORDED.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", NAMES)
async def test_recorded_answers_are_read(name):
    wanted = next(
        json.loads(line)["wanted"]
        for line in RECORDED.read_text("utf-8").splitlines()
        if json.loads(line)["name"] == name
    )
    said: list[str] = []
    with replaying(recording(name)) as replay:
        reply = await client(replay).generate(ASK, on_text=said.append)
    assert reply.text == "".join(said) == wanted["text"]
    assert reply.usage == TokenUsage(*wanted["usage"])
    assert reply.finish_reason == wanted["finish_reason"]
    assert reply.tool_calls == tuple(ToolCall(*call) for call in wanted["tool_calls"])


async def test_the_request_is_what_the_format_asks_for():
    with replaying(Reply(chunks=HELLO)) as replay:
        await client(replay, temperature=0.0, max_output_tokens=50, extra_body={"seed": 1}).generate(ASK)
    [request] = replay.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.body == {
        "model": "test-model",
        "messages": [
            {"role": "system", "content": "Write Python."},
            {"role": "user", "content": "What is 6 * 7?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "max_tokens": 50,
        "seed": 1,
    }


async def test_without_a_key_none_is_sent(monkeypatch):
    monkeypatch.delenv("SANDBOXD_MODEL_API_KEY", raising=False)
    with replaying(Reply(chunks=HELLO)) as replay:
        await AsyncOpenAICompatible("m", replay.base_url).generate(ASK)
    assert "Authorization" not in replay.requests[0].headers


async def test_the_key_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SANDBOXD_MODEL_API_KEY", "from-the-environment")
    with replaying(Reply(chunks=HELLO)) as replay:
        await AsyncOpenAICompatible("m", replay.base_url).generate(ASK)
    assert replay.requests[0].headers["Authorization"] == "Bearer from-the-environment"


async def test_missing_usage_is_estimated_and_marked():
    with replaying(Reply(chunks=HELLO)) as replay:
        reply = await client(replay).generate(ASK)
    assert reply.usage == TokenUsage(7, 2, 0, estimated=True)


async def test_the_stream_ends_with_the_code_and_the_server_is_told():
    chunks = [event(f"{part}") for part in ("I count.\n```py", "thon\nprint(42)\n``", "`\nObservation: 41\n")]
    chunks += [event("more and more ") for _ in range(500)]
    with replaying(Reply(chunks=chunks, chunk_seconds=0.01)) as replay:
        reply = await client(replay).generate(ASK, stop=CodeEnd())
        assert replay.left.wait(5)  # the connection was closed, not read to its end
    assert reply.text == "I count.\n```python\nprint(42)\n```"
    assert reply.finish_reason == "code_end"
    assert reply.usage.estimated
    assert replay.chunks_sent < 200


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
async def test_what_may_pass_is_tried_again(status):
    with replaying(Reply(status), Reply(status), Reply(chunks=HELLO)) as replay:
        reply = await client(replay).generate(ASK)
    assert reply.text == "Hello"
    assert len(replay.requests) == 3


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "MODEL_REQUEST_REFUSED"),
        (401, "MODEL_UNAUTHORIZED"),
        (403, "MODEL_UNAUTHORIZED"),
        (404, "MODEL_NOT_FOUND"),
        (422, "MODEL_REQUEST_REFUSED"),
        (301, "MODEL_REQUEST_REFUSED"),
    ],
)
async def test_what_will_not_pass_is_not_tried_again(status, code):
    error, requests = await failure(Reply(status, {"Location": "http://127.0.0.1:1/"}), Reply(chunks=HELLO))
    assert (error.code, error.status, requests) == (code, status, 1)


async def test_tries_come_to_an_end():
    error, requests = await failure(*[Reply(500)] * 9)
    assert (error.code, requests) == ("MODEL_SERVER_ERROR", 4)


@pytest.mark.parametrize("headers", [{"Retry-After": "0.4"}, {"retry-after-ms": "400"}])
async def test_retry_after_is_honoured(headers):
    with replaying(Reply(429, headers), Reply(chunks=HELLO)) as replay:
        await client(replay).generate(ASK)
    first, second = (request.at_seconds for request in replay.requests)
    assert second - first >= 0.4


async def test_a_server_that_wants_a_long_wait_is_reported_instead():
    error, requests = await failure(Reply(429, {"Retry-After": "3600"}), Reply(chunks=HELLO))
    assert (error.code, error.retry_after_seconds, requests) == ("MODEL_RATE_LIMITED", 3600.0, 1)


async def test_a_wait_beyond_the_deadline_is_not_begun():
    started = time.monotonic()
    error, requests = await failure(
        Reply(429, {"Retry-After": "30"}), Reply(chunks=HELLO), deadline_seconds=2.0
    )
    assert (error.code, requests) == ("MODEL_RATE_LIMITED", 1)
    assert time.monotonic() - started < 2


async def test_a_refused_connection_is_tried_again_and_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ModelError) as caught:
        await AsyncOpenAICompatible("m", f"http://127.0.0.1:{port}/v1", backoff=SOON).generate(ASK)
    assert caught.value.code == "MODEL_CONNECT_FAILED"
    assert f"http://127.0.0.1:{port}/v1" in caught.value.message


async def test_a_connection_that_comes_about_later_is_used():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    model = AsyncOpenAICompatible(
        "m", f"http://127.0.0.1:{port}/v1", backoff=Backoff(5, 0.2, 0.2, lambda: 0.0)
    )
    call = asyncio.create_task(model.generate(ASK))
    await asyncio.sleep(0.1)
    answer = b"".join(HELLO)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + answer
        )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        assert (await call).text == "Hello"
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_cut_stream_is_an_error_and_never_tried_again(after):
    error, requests = await failure(Reply(chunks=HELLO, cut_after=after), Reply(chunks=HELLO))
    assert (error.code, requests) == ("MODEL_STREAM_CUT", 1)


async def test_a_stream_that_ends_early_but_tidily_is_cut_too():
    error, requests = await failure(Reply(chunks=HELLO[:2]))
    assert (error.code, requests) == ("MODEL_STREAM_CUT", 1)


async def test_a_cut_after_the_reasons_end_harms_nothing():
    with replaying(Reply(chunks=HELLO, cut_after=3)) as replay:
        assert (await client(replay).generate(ASK)).text == "Hello"


async def test_an_error_after_a_token_is_never_tried_again():
    said: list[str] = []
    broken = Reply(chunks=[event("Hel"), b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'])
    with (
        replaying(broken, Reply(chunks=HELLO)) as replay,
        pytest.raises(ModelError, match="overloaded") as caught,
    ):
        await client(replay).generate(ASK, on_text=said.append)
    assert caught.value.code == "MODEL_SERVER_ERROR"
    assert (said, len(replay.requests)) == (["Hel"], 1)


async def test_a_silent_server_is_given_up():
    started = time.monotonic()
    error, requests = await failure(Reply(chunks=HELLO, head_seconds=1.0), idle_seconds=0.2)
    assert (error.code, requests) == ("MODEL_TIMED_OUT", 1)
    assert time.monotonic() - started < 3


async def test_a_dripping_server_meets_the_deadline():
    drip = Reply(chunks=[event("x")] * 100, chunk_seconds=0.05)
    started = time.monotonic()
    error, _ = await failure(drip, deadline_seconds=0.5)
    assert error.code == "MODEL_TIMED_OUT"
    assert time.monotonic() - started < 2


async def test_a_slow_stream_is_read_to_its_end():
    with replaying(Reply(chunks=HELLO, chunk_seconds=0.1)) as replay:
        assert (await client(replay, idle_seconds=2.0).generate(ASK)).text == "Hello"


async def test_events_may_be_torn_anywhere():
    wire = "\N{SNOWMAN} é Hello"
    whole = b": keep-alive\n\n" + event(wire).replace(b"\n", b"\r\n") + b"".join(HELLO[2:])
    raw = whole.replace(json.dumps(wire).encode(), json.dumps(wire, ensure_ascii=False).encode())
    with replaying(Reply(chunks=[raw[at : at + 1] for at in range(len(raw))])) as replay:
        assert (await client(replay).generate(ASK)).text == wire


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: {not json\n\n"],
        [b"data: [1, 2]\n\n"],
        [b"data: " + b"[" * 50_000 + b"\n\n"],
        [b"data: " + b"9" * 10_000 + b"\n\n"],
        [b'data: {"choices": [{"delta": {"tool_calls": [{"index": "x", "function": {}}]}}]}\n\n'],
        [
            b'data: {"choices": [{"delta": {"tool_calls": ['
            + b",".join(b'{"function": {}, "index": %d}' % n for n in range(99))
            + b"]}}]}\n\n"
        ],
    ],
    ids=["syntax", "array", "nesting", "digits", "tool call", "many tool calls"],
)
async def test_wrong_json_is_an_error_and_never_tried_again(chunks):
    error, requests = await failure(Reply(chunks=chunks), Reply(chunks=HELLO))
    assert (error.code, requests) == ("MODEL_BAD_RESPONSE", 1)


@pytest.mark.parametrize(
    "body",
    [
        '{"choices": 1}',
        '{"choices": []}',
        "[]",
        '"text"',
        "{",
    ],
)
async def test_a_whole_answer_that_makes_no_sense_is_an_error(body):
    reply = Reply(200, {"Content-Type": "application/json"}, [body.encode()])
    error, _ = await failure(reply)
    assert error.code == "MODEL_BAD_RESPONSE"


@pytest.mark.parametrize("headers", [{"Content-Type": "text/html"}, {"Content-Encoding": "gzip"}])
async def test_an_answer_of_another_kind_is_refused(headers):
    error, _ = await failure(Reply(200, headers, [b"<html>"]))
    assert error.code == "MODEL_BAD_RESPONSE"


@pytest.mark.parametrize(
    "body", [[b"x" * 4096] * 64, [event("y" * 4000)] * 64], ids=["one line", "many events"]
)
async def test_reading_is_bounded(body):
    error, _ = await failure(Reply(chunks=body), max_reply_bytes=100_000)
    assert error.code == "MODEL_REPLY_TOO_LARGE"


async def test_the_body_of_an_error_is_bounded():
    error, requests = await failure(Reply(400, chunks=[b"x" * 65536] * 2))
    assert (error.code, requests) == ("MODEL_REPLY_TOO_LARGE", 1)


async def test_the_key_is_shown_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"error": {"message": f"Incorrect API key: {KEY}\x1b[2J"}}).encode()
    with replaying(Reply(429), Reply(401, chunks=[body])) as replay:
        model = client(replay)
        with pytest.raises(ModelError) as caught:
            await model.generate(ASK)
    shown = "".join(traceback.format_exception(caught.value)) + repr(model) + str(vars(model)) + caplog.text
    assert "Incorrect API key: [key]" in caught.value.message
    assert "\x1b" not in shown
    assert KEY not in shown
    seen, error = set(), caught.value
    while (
        error is not None and id(error) not in seen
    ):  # nothing of the HTTP library's is chained: it holds the request
        seen.add(id(error))
        assert isinstance(error, ModelError)
        error = error.__cause__ or error.__context__
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(model._endpoint)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("", ""),
        ("localhost:8080/v1", ""),
        ("ftp://host/v1", ""),
        ("http://[::1", ""),
        ("http://host:99999/v1", ""),
        ("https://user:password@host/v1", ""),
        ("https://host/v1?key=1", ""),
        ("http://model.example/v1", "key"),
        ("https://host/v1", "key\n"),
    ],
)
def test_unusable_addresses_and_keys_are_refused_at_once(url, key):
    with pytest.raises(ModelError) as caught:
        OpenAICompatible("m", url, key)
    assert caught.value.code == "MODEL_CONFIG_INVALID"


def test_the_synchronous_form_does_the_same():
    said: list[str] = []
    with replaying(Reply(500), Reply(chunks=HELLO)) as replay:
        model = OpenAICompatible("m", replay.base_url, KEY, backoff=SOON)
        assert model.generate(ASK, on_text=said.append).text == "Hello"
    assert said == ["Hel", "lo"]


def test_a_proxy_of_the_environment_is_not_asked_for_the_loopback(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with replaying(Reply(chunks=HELLO)) as replay:
        assert OpenAICompatible("m", replay.base_url, KEY).generate(ASK).text == "Hello"


def test_without_httpx_the_error_names_the_remedy():
    program = (
        "import sys; sys.modules['httpx'] = None\n"
        "from sandboxd_client._sync.openai_compatible import OpenAICompatible\n"
        "try: OpenAICompatible('m', 'http://localhost/v1')\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MODEL_CLIENT_NOT_INSTALLED")
    assert "pip install 'sandboxd[agent]'" in done.stdout


async def test_a_refusal_of_a_real_server_is_told_in_its_words():
    said = (
        '{"error":{"code":400,"message":"request (5031 tokens) exceeds the available context size (2048 tokens), try'
        ' increasing it","type":"exceed_context_size_error","n_prompt_tokens":5031,"n_ctx":2048}}'
    )
    error, requests = await failure(Reply(400, {"Content-Type": "application/json"}, [said.encode()]))
    assert "exceeds the available context size (2048 tokens)" in error.message
    assert requests == 1
