"""A client for any server that speaks chat completions: OpenAI, vLLM, llama.cpp, Ollama, LM Studio, routers.

The key is handed to the HTTP library at the last moment, request by request. It stands in no repr, log line,
saved run or exception; errors are raised outside of the `except` that caught the library's own, which would
carry the request. Redirects are not followed: they would carry the key elsewhere. Each call has a client of
its own, so a model can be shared by threads and event loops, and has nothing to close.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandboxd_client._backend_async import sleep
from sandboxd_client.models import Message, ModelError, ModelReply, ModelTool, StopWatch
from sandboxd_client.models.chat import ReplyBuilder, chat_request, status_error
from sandboxd_client.models.endpoint import Endpoint, load_httpx
from sandboxd_client.models.errors import ModelErrorCode
from sandboxd_client.models.retry import Backoff, is_retried, retry_after_seconds
from sandboxd_client.models.sse import SseDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

_LOGGER = logging.getLogger("sandboxd_client.model")
_OK = 200
_MAX_ERROR_BYTES = 64 * 1024
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """A call without a reply: handed back, not raised, so that nothing of the library is chained to it."""

    error: ModelError
    retried: bool = False


class AsyncOpenAICompatible:
    """A model behind a chat completions endpoint.

    Args:
        model: the name the server knows it by.
        base_url: the endpoint up to and without `/chat/completions`, for example `http://localhost:8080/v1`.
        api_key: the key; None takes it from SANDBOXD_MODEL_API_KEY. Servers without keys need none.
        temperature: None leaves it to the server.
        max_output_tokens: how long one reply may be; None leaves it to the server.
        extra_body: further fields of the request, as the server documents them.
        idle_seconds: how long the server may stay silent.
        deadline_seconds: how long one `generate` may take in all, retries included.
        backoff: when to try again.
        max_reply_bytes: how long an answer may be on the wire.

    Raises:
        ModelError: httpx is not installed, or the URL cannot be used.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str | None = None,
        *,
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        extra_body: Mapping[str, Any] | None = None,
        idle_seconds: float = 60.0,
        deadline_seconds: float = 600.0,
        backoff: Backoff | None = None,
        max_reply_bytes: int = 8 * 1024 * 1024,
    ) -> None:
        self.name = model
        self._httpx = load_httpx()
        key = os.environ.get("SANDBOXD_MODEL_API_KEY", "") if api_key is None else api_key
        self._endpoint = Endpoint.parse(base_url, key)
        self._verify = self._httpx.create_ssl_context() if self._endpoint.encrypted else False
        self._options = {"temperature": temperature, "max_tokens": max_output_tokens, **(extra_body or {})}
        self._idle_seconds = idle_seconds
        self._deadline_seconds = deadline_seconds
        self._backoff = backoff or Backoff()
        self._max_reply_bytes = max_reply_bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.name!r}, base_url={self._endpoint.shown!r})"

    async def generate(
        self,
        messages: Sequence[Message],
        *,
        stop: StopWatch | None = None,
        on_text: Callable[[str], None] | None = None,
        tools: Sequence[ModelTool] = (),
    ) -> ModelReply:
        """Answer a conversation, streaming; see `AsyncModel.generate`.

        A call is tried again only where no token of a reply can have been shown: after 408, 409, 429, 5xx,
        and when no connection came about.

        Raises:
            ModelError: there is no reply.
        """
        until = time.monotonic() + self._deadline_seconds
        attempt = 0
        while True:
            got = await self._attempt(messages, tools, stop, on_text, until)
            if isinstance(got, ModelReply):
                return got
            wait = self._backoff.wait_seconds(attempt, got.error.retry_after_seconds) if got.retried else None
            if wait is None or time.monotonic() + wait > until:
                raise got.error
            attempt += 1
            _LOGGER.info(
                "model call failed, trying again code=%s status=%s attempt=%d wait_seconds=%.2f",
                got.error.code,
                got.error.status,
                attempt,
                wait,
            )
            await sleep(wait)

    async def _attempt(
        self,
        messages: Sequence[Message],
        tools: Sequence[ModelTool],
        stop: StopWatch | None,
        on_text: Callable[[str], None] | None,
        until: float,
    ) -> ModelReply | _Failure:
        builder = ReplyBuilder(stop, self._endpoint.key.reveal())
        httpx = self._httpx
        try:
            async with self._client(until) as client, self._request(client, messages, tools) as response:
                await self._read(response, builder, on_text, until)
        except ModelError as error:
            return _Failure(error, retried=error.status is not None and is_retried(error.status))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return _Failure(self._connect_error(), retried=True)
        except httpx.TimeoutException:
            if not builder.finished:
                return _Failure(_timed_out())
        except httpx.HTTPError:
            if not builder.finished:
                return _Failure(_cut())
        return builder.reply(messages)

    def _client(self, until: float) -> httpx.AsyncClient:
        idle = max(0.1, min(self._idle_seconds, until - time.monotonic()))
        timeout = self._httpx.Timeout(idle, connect=min(_CONNECT_SECONDS, idle))
        client: httpx.AsyncClient = self._httpx.AsyncClient(
            verify=self._verify,
            timeout=timeout,
            follow_redirects=False,
            trust_env=not self._endpoint.loopback,  # no proxy reaches this machine's own loopback
        )
        return client

    def _request(
        self, client: httpx.AsyncClient, messages: Sequence[Message], tools: Sequence[ModelTool]
    ) -> Any:
        options = {key: value for key, value in self._options.items() if value is not None}
        return client.stream(
            "POST",
            self._endpoint.url,
            json=chat_request(self.name, messages, options, tools),
            # Unpacking a hostile answer would defeat the bound on its size.
            headers={"Accept": "text/event-stream", "Accept-Encoding": "identity"},
            auth=self._endpoint.authorize,
        )

    async def _read(
        self,
        response: httpx.Response,
        builder: ReplyBuilder,
        on_text: Callable[[str], None] | None,
        until: float,
    ) -> None:
        if response.status_code != _OK:
            body = await self._body(response, _MAX_ERROR_BYTES, until)
            after = retry_after_seconds(response.headers, time.time())
            raise status_error(response.status_code, body, after, self._endpoint.key.reveal())
        kind = response.headers.get("content-type", "text/event-stream").partition(";")[0].strip().lower()
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _senseless("it is compressed, which was not asked for")
        if kind == "application/json":  # a server that does not stream
            text = builder.whole(await self._body(response, self._max_reply_bytes, until))
            if on_text and text:
                on_text(text)
        elif kind == "text/event-stream":
            await self._stream(response, builder, on_text, until)
        else:
            raise _senseless("it is neither an event stream nor JSON")

    async def _stream(
        self,
        response: httpx.Response,
        builder: ReplyBuilder,
        on_text: Callable[[str], None] | None,
        until: float,
    ) -> None:
        decoder = SseDecoder(self._max_reply_bytes)
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            _check(size, self._max_reply_bytes, until)
            for data in decoder.feed(chunk):
                if data == "[DONE]":
                    return
                text = builder.event(data)
                if on_text and text:
                    on_text(text)
                if builder.stopped:
                    return  # leaving closes the connection, which makes the server stop generating
        if not builder.finished:
            raise _cut()

    async def _body(self, response: httpx.Response, max_bytes: int, until: float) -> bytes:
        pieces = bytearray()
        async for chunk in response.aiter_raw():
            pieces += chunk
            _check(len(pieces), max_bytes, until)
        return bytes(pieces)

    def _connect_error(self) -> ModelError:
        return ModelError(
            ModelErrorCode.CONNECT_FAILED,
            f"No connection to the model server at {self._endpoint.shown}.",
            remedy="Check the base URL and that the server runs.",
        )


def _check(size_bytes: int, max_bytes: int, until: float) -> None:
    if size_bytes > max_bytes:
        raise ModelError(
            ModelErrorCode.REPLY_TOO_LARGE, f"The model server sent more than {max_bytes} bytes."
        )
    if time.monotonic() > until:
        raise _timed_out()


def _timed_out() -> ModelError:
    return ModelError(
        ModelErrorCode.TIMED_OUT,
        "The model server did not finish in time.",
        remedy="Raise idle_seconds or deadline_seconds.",
    )


def _cut() -> ModelError:
    return ModelError(ModelErrorCode.STREAM_CUT, "The model server's answer broke off before its end.")


def _senseless(what: str) -> ModelError:
    return ModelError(ModelErrorCode.BAD_RESPONSE, f"The model server's answer makes no sense: {what}.")
