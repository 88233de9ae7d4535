"""A model that says what it was told to say: for tests, examples and demonstrations without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from sandboxd_client.models import Message, ModelError, ModelReply, ModelTool, StopWatch
from sandboxd_client.models.errors import ModelErrorCode
from sandboxd_client.models.messages import estimate_usage

Scripted: TypeAlias = str | ModelReply | Callable[[Sequence[Message]], str | ModelReply]


class AsyncScriptedModel:
    """Gives its replies in order, whatever it is asked.

    Args:
        replies: texts, whole replies, or functions that make one from the conversation.
        name: what events and saved runs call it.
    """

    def __init__(self, replies: Iterable[Scripted], *, name: str = "scripted") -> None:
        self.name = name
        self.calls: list[tuple[Message, ...]] = []
        """The conversations it was asked about, in order."""
        self.offered: list[tuple[ModelTool, ...]] = []
        """The tools that each of them came with."""
        self._replies = list(replies)

    async def generate(
        self,
        messages: Sequence[Message],
        *,
        stop: StopWatch | None = None,
        on_text: Callable[[str], None] | None = None,
        tools: Sequence[ModelTool] = (),
    ) -> ModelReply:
        """Give the next reply, cut where the stop watch ends it.

        Raises:
            ModelError: MODEL_SCRIPT_ENDED when there is none left.
        """
        self.calls.append(tuple(messages))
        self.offered.append(tuple(tools))
        if len(self.calls) > len(self._replies):
            raise ModelError(
                ModelErrorCode.SCRIPT_ENDED,
                f"The script holds {len(self._replies)} replies and was asked for one more.",
                remedy="Add a reply, or let the last one call final_answer.",
            )
        scripted = self._replies[len(self.calls) - 1]
        said = scripted(messages) if callable(scripted) else scripted
        if isinstance(said, str):
            keep = stop.feed(said) if stop else None
            said = said[:keep]
            said = ModelReply(said, usage=estimate_usage(messages, said))
        if on_text and said.text:
            on_text(said.text)
        return said
