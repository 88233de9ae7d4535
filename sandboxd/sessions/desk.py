"""What a client's stream does about tools: register them, answer calls, make calls of its own.

An answer is checked, and a direct call made, in a task of the session's: both outlive the stream that brought them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd.errors import Code, FailureClass, SandboxdError
from sandboxd.events import ToolCallOver, ToolsSet
from sandboxd.sessions.ring import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandboxd.events import ToolSpec
    from sandboxd.sessions.feed import Feed
    from sandboxd.sessions.session import Session
    from sandboxd.tools import Answer


def set_tools(session: Session, feed: Feed, request_id: int, wanted: Sequence[ToolSpec]) -> None:
    """Replace the session's tools while nothing runs.

    Raises:
        SandboxdError: SESSION_BUSY, TOOL_INVALID; the tools are as before.
    """
    if session.flight is not None:
        raise SandboxdError(
            Code.SESSION_BUSY,
            "Tools are set while nothing runs.",
            remedy="Wait for the result.",
            failure=FailureClass.NOT_STARTED,
        )
    session.tools.set(wanted)
    session.names.register(session.tools.specs)
    feed.answer(request_id, "", ToolsSet(session.tools.allowed))


def take_result(session: Session, feed: Feed, request_id: int, call_id: str, answer: Answer) -> None:
    """Take a client's answer to a call. That to a direct call is answered itself: nothing else tells what became of it."""
    direct = session.tools.is_direct(call_id)
    session.ring.answered(call_id)

    async def take() -> None:
        wrong = await session.tools.answer(call_id, answer)
        if direct:
            feed.answer(
                request_id, "", ToolCallOver(call_id, "recorded") if wrong is None else Refusal(wrong)
            )

    session.aside(take())


def call_directly(
    session: Session, feed: Feed, request_id: int, *, call_id: str, tool: str, arguments: str
) -> None:
    """Make a call that no code made; its events go to the stream that asked."""

    async def call() -> None:
        try:
            await session.tools.call_directly(
                call_id, tool, arguments, lambda event: feed.answer(request_id, "", event)
            )
        except SandboxdError as error:
            feed.answer(request_id, "", Refusal(error))

    session.aside(call())
