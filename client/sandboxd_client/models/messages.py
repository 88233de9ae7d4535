"""The values that pass between an agent and a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

# English prose and code run to about four characters a token. Only used where a server tells nothing, and
# marked so: a tokenizer for each model would weigh more than the rest of the client.
_CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A native tool call; `arguments` is the text the model wrote, which need not be JSON. `id` is the server's."""

    name: str
    arguments: str
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    An assistant's may hold calls; what came of each is a message of role "tool" that names its id.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class ModelTool:
    """A tool as a model is offered it: `parameters` is the JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one or more model calls; `cached` ones are part of `input`.

    `estimated` says that at least one call had to be estimated from the length of its text.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """Return input and output together."""
        return self.input + self.output

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What a model answered. `finish_reason` is the server's word, or `code_end` from the stop watch."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: TokenUsage = field(default_factory=TokenUsage)
    finish_reason: str = "stop"


class StopWatch(Protocol):
    """Watches a reply as it streams and says when the rest is not wanted."""

    def feed(self, text: str) -> int | None:
        """Take the next piece; return how many of its characters to keep if the reply is complete."""


def estimate_usage(messages: Sequence[Message], reply: str) -> TokenUsage:
    """Estimate the usage of a call whose server told none."""
    characters = sum(
        len(message.content) + sum(len(call.name + call.arguments) for call in message.tool_calls)
        for message in messages
    )
    return TokenUsage(
        input=-(-characters // _CHARACTERS_A_TOKEN),
        output=-(-len(reply) // _CHARACTERS_A_TOKEN),
        estimated=True,
    )
