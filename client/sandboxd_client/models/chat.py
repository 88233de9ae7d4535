"""The chat completions format: the request, the chunks of a streamed reply, and what an HTTP status means.

Everything here comes from a server that is not trusted: each field is checked before it is used, and every
size is bounded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandboxd_client.models.errors import ModelError, ModelErrorCode
from sandboxd_client.models.messages import (
    Message,
    ModelReply,
    ModelTool,
    StopWatch,
    TokenUsage,
    ToolCall,
    estimate_usage,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_TOOL_CALLS = 16
_MAX_ID_CHARACTERS = 200
_MAX_MESSAGE_CHARACTERS = 300
_BY_STATUS = {
    401: (ModelErrorCode.UNAUTHORIZED, "Check the API key."),
    403: (ModelErrorCode.UNAUTHORIZED, "Check the API key and what it may use."),
    404: (ModelErrorCode.NOT_FOUND, "Check the base URL and the model's name."),
    408: (ModelErrorCode.TIMED_OUT, ""),
    429: (ModelErrorCode.RATE_LIMITED, "Wait, or ask for a higher limit."),
}
_SERVER_ERRORS = 500


def chat_request(
    model: str, messages: Sequence[Message], options: dict[str, Any], tools: Sequence[ModelTool] = ()
) -> dict[str, Any]:
    """Return the body of a streaming request."""
    return {
        "model": model,
        "messages": [_message(message) for message in messages],
        **({"tools": [_tool(tool) for tool in tools]} if tools else {}),
        "stream": True,
        # Without it a stream tells no usage; servers that do not know it ignore it.
        "stream_options": {"include_usage": True},
        **options,
    }


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": _sendable(message.content)}
    if message.tool_calls:
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": _sendable(call.name), "arguments": _object_text(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        body["tool_call_id"] = message.tool_call_id
    return body


def _object_text(arguments: str) -> str:
    """Return arguments that a server can parse again: some refuse a whole conversation for one broken call in it."""
    try:
        fine = isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        fine = False
    return _sendable(arguments) if fine else "{}"


def _tool(tool: ModelTool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def status_error(status: int, body: bytes, retry_after: float, secret: str) -> ModelError:
    """Return the error for an HTTP status that is not 200."""
    fallback = (
        (ModelErrorCode.SERVER_ERROR, "")
        if status >= _SERVER_ERRORS
        else (ModelErrorCode.REQUEST_REFUSED, "")
    )
    code, remedy = _BY_STATUS.get(status, fallback)
    said = server_message(body, secret)
    message = f"The model server answered {status}" + (f": {said}" if said else ".")
    return ModelError(code, message, remedy=remedy, status=status, retry_after_seconds=retry_after)


def server_message(body: bytes, secret: str) -> str:
    """Return the server's own words, short, printable, and without the key that some servers quote back."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = body.decode(errors="replace")
    for key in ("error", "message"):
        said = said.get(key, said) if isinstance(said, dict) else said
    text = said if isinstance(said, str) else ""
    if secret:
        text = text.replace(secret, "[key]")
    return "".join(
        character if character.isprintable() else " " for character in text[:_MAX_MESSAGE_CHARACTERS]
    )


class ReplyBuilder:
    """Puts a reply together from the chunks of a stream, or from one whole completion."""

    def __init__(self, stop: StopWatch | None, secret: str) -> None:
        self._stop = stop
        self._secret = secret
        self._text: list[str] = []
        self._calls: dict[int, list[str]] = {}  # index -> [name, arguments, id]
        self._usage: TokenUsage | None = None
        self._finish = ""

    @property
    def finished(self) -> bool:
        """Tell whether the server said why it ended, or the stop watch ended the reply."""
        return bool(self._finish)

    @property
    def stopped(self) -> bool:
        """Tell whether the stop watch ended the reply."""
        return self._finish == "code_end"

    def event(self, data: str) -> str:
        """Take one event of the stream; return the text that it adds."""
        chunk = self._json(data)
        self._take_usage(chunk.get("usage"))
        added = "".join(self._choice(choice, "delta") for choice in _items(chunk.get("choices")))
        if added:
            self._text.append(added)
        return added

    def whole(self, body: bytes) -> str:
        """Take the answer of a server that does not stream; return its text."""
        completion = self._json(body.decode(errors="replace"))
        if not _items(completion.get("choices")):
            raise _bad("the answer holds no choices")
        self._take_usage(completion.get("usage"))
        text = "".join(self._choice(choice, "message") for choice in _items(completion.get("choices")))
        self._text.append(text)
        self._finish = self._finish or "stop"
        return text

    def reply(self, messages: Sequence[Message]) -> ModelReply:
        """Return what has come so far as a reply."""
        text = "".join(self._text)
        calls = tuple(
            ToolCall(name, arguments, told or f"call_{index}")
            for index, (name, arguments, told) in self._calls.items()
        )
        told = text + "".join(call.name + call.arguments for call in calls)
        return ModelReply(text, calls, self._usage or estimate_usage(messages, told), self._finish or "stop")

    def _json(self, data: str) -> dict[str, Any]:
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            chunk = None
        if not isinstance(chunk, dict):
            raise _bad("the server sent something that is not a JSON object")
        if chunk.get("error"):
            said = server_message(data.encode(errors="replace"), self._secret)
            raise ModelError(
                ModelErrorCode.SERVER_ERROR, f"The model server broke off: {said or 'no reason given'}"
            )
        return chunk

    def _choice(self, choice: dict[str, Any], key: str) -> str:
        if choice.get("index", 0) != 0:
            return ""  # one reply was asked for
        part = choice.get(key)
        part = part if isinstance(part, dict) else {}
        for position, call in enumerate(_items(part.get("tool_calls"))):
            self._tool_call(position, call)
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            self._finish = finish
        content = part.get("content")
        return self._kept(content) if isinstance(content, str) else ""

    def _kept(self, content: str) -> str:
        keep = self._stop.feed(content) if self._stop and content else None
        if keep is None:
            return content
        self._finish = "code_end"
        return content[:keep]

    def _tool_call(self, position: int, call: dict[str, Any]) -> None:
        index = call.get("index", position)
        function = call.get("function")
        if not isinstance(index, int) or not isinstance(function, dict):
            raise _bad("a tool call has no index or function")
        if index not in self._calls and len(self._calls) >= _MAX_TOOL_CALLS:
            raise _bad("too many tool calls")
        held = self._calls.setdefault(index, ["", "", ""])
        if isinstance(told := call.get("id"), str) and not held[2]:
            held[2] = told[:_MAX_ID_CHARACTERS]
        for slot, key in enumerate(("name", "arguments")):
            if isinstance(value := function.get(key), str):
                held[slot] += value

    def _take_usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else 0
        self._usage = TokenUsage(
            _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached)
        )


def _sendable(text: str) -> str:
    """Replace lone surrogates, which a JSON escape can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _bad(what: str) -> ModelError:
    return ModelError(ModelErrorCode.BAD_RESPONSE, f"The model server's answer makes no sense: {what}.")
