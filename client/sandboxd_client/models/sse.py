"""Server-sent events, decoded under a bound: the server is not trusted to end its lines."""

from __future__ import annotations

import codecs

from sandboxd_client.models.errors import ModelError, ModelErrorCode


class SseDecoder:
    """Takes bytes as they arrive, gives the `data` of each event.

    Args:
        max_event_characters: how long one event may be; a longer one is refused.
    """

    def __init__(self, max_event_characters: int) -> None:
        self._max = max_event_characters
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._pieces: list[str] = []  # of the line that has not ended yet
        self._line_length = 0
        self._data: list[str] = []  # data lines of the event that has not ended yet
        self._data_length = 0

    def feed(self, chunk: bytes) -> list[str]:
        """Return the events that this chunk completes.

        Raises:
            ModelError: MODEL_REPLY_TOO_LARGE when an event is longer than allowed.
        """
        events = []
        # Lines end in LF or CR LF; no chat server sends a lone CR, which JSON may not hold raw either.
        *whole, rest = self._text.decode(chunk).split("\n")
        for part in whole:
            self._add(part)
            line = "".join(self._pieces).removesuffix("\r")
            self._pieces, self._line_length = [], 0
            if event := self._line(line):
                events.append(event)
        self._add(rest)
        return events

    def _add(self, part: str) -> None:
        self._line_length += len(part)
        if self._line_length + self._data_length > self._max:
            raise ModelError(
                ModelErrorCode.REPLY_TOO_LARGE, "The model server sent an event that does not end."
            )
        self._pieces.append(part)

    def _line(self, line: str) -> str:
        if not line:
            event, self._data, self._data_length = "\n".join(self._data), [], 0
            return event
        if line.startswith(
            "data:"
        ):  # all else is a comment that keeps the connection open, or a field nobody uses
            self._data.append(line.removeprefix("data:").removeprefix(" "))
            self._data_length += len(line)
        return ""
