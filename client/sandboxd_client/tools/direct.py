"""A tool called directly, by a model's JSON: what is asked, and what came of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from sandboxd_client.results import ToolState
from sandboxd_client.tools.errors import ToolValueError
from sandboxd_client.tools.values import MAX_VALUE_BYTES, decode, encode


@dataclass(frozen=True, slots=True)
class DirectCall:
    """A call to be made. `arguments` are values by name, or the JSON text of an object as a model wrote it."""

    tool: str
    arguments: dict[str, Any] | str = field(default_factory=dict, repr=False)
    call_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def arguments_json(self) -> str:
        """Return the arguments as JSON text.

        Raises:
            ToolValueError: they cannot be sent.
        """
        if not isinstance(self.arguments, str):
            return encode(self.arguments, "the arguments")
        text = self.arguments.encode("utf-8", "replace")
        if len(text) > MAX_VALUE_BYTES:
            raise ToolValueError(
                f"the arguments have {len(text)} bytes; {MAX_VALUE_BYTES} can be sent at most"
            )
        return text.decode()


@dataclass(frozen=True, slots=True)
class DirectResult:
    """What came of a call. `value` is what the tool gave, as a program in the sandbox would see it.

    `code` says why it did not finish, as in `ToolUse`; `message` says it in words, with the remedy.
    """

    call_id: str
    tool: str
    state: ToolState
    value_json: str = field(default="", repr=False)
    code: str = ""
    message: str = ""

    @property
    def ok(self) -> bool:
        """Say whether the tool gave a value."""
        return self.state is ToolState.FINISHED

    @property
    def value(self) -> Any:
        """Return the value, None where there is none."""
        return decode(self.value_json) if self.value_json else None
