"""What an agent needs of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandboxd_client.models import Message, ModelReply, ModelTool, StopWatch


class AsyncModel(Protocol):
    """A language model: one method. Anything that has it can drive an agent."""

    @property
    def name(self) -> str:
        """Return the name that events and saved runs show."""

    async def generate(
        self,
        messages: Sequence[Message],
        *,
        stop: StopWatch | None = None,
        on_text: Callable[[str], None] | None = None,
        tools: Sequence[ModelTool] = (),
    ) -> ModelReply:
        """Answer a conversation.

        Args:
            messages: the conversation so far, the system message first.
            stop: watches the text; once it says that the reply is complete, the rest need not be generated.
            on_text: is given each piece of text as it arrives.
            tools: what the model may call natively. An agent that offers none does not pass it.

        Raises:
            ModelError: there is no reply.
        """
