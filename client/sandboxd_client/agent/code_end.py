"""Ends a streaming reply at the end of its first Python block.

What a model writes after its code is an observation that it imagines. Cutting the stream there saves the
tokens and keeps the invention out of the conversation.
"""

from __future__ import annotations

from sandboxd_client.agent.fences import BlockScanner

# A mark is recognised before its line ends only on a line this short: looking at a long line again with every
# token would take quadratic time.
_SHORT_LINE = 16


class CodeEnd:
    """A `StopWatch` for one reply: feed it each piece of text as it arrives."""

    def __init__(self) -> None:
        self._scanner = BlockScanner()
        self._line: list[str] = []  # pieces of the line that has not ended yet
        self._line_length = 0

    def feed(self, text: str) -> int | None:
        """Return how many characters of this piece to keep once the block has ended, else None."""
        used = 0
        *whole, rest = text.split("\n")
        for part in whole:
            used += len(part)
            if self._ends(part):
                return used
            used += 1
        self._line.append(rest)
        self._line_length += len(rest)
        return len(text) if self._ends_early() else None

    def _ends(self, part: str) -> bool:
        line = "".join((*self._line, part)).removesuffix("\r")
        self._line, self._line_length = [], 0
        was_python = self._scanner.inside_python
        block = self._scanner.line(line)
        return block is not None and (was_python or block.is_python)

    def _ends_early(self) -> bool:
        """Tell whether the unfinished line begins with a closing mark: many models end right after it."""
        if not self._scanner.inside_python or self._scanner.inside_string or self._line_length > _SHORT_LINE:
            return False
        return "".join(self._line).lstrip().startswith(self._scanner.mark)
