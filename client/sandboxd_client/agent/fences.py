"""Finds code blocks in text that a model wrote, line by line and in linear time.

A closing mark counts only outside Python strings: code that writes a README holds fences of its own.
`_Strings` follows quotes well enough for that; it is no tokenizer. The text is untrusted, so nothing here
compiles or evaluates it: the compiler can be brought down by nesting alone, and it runs in the agent's own
process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PYTHON_TAGS = frozenset({"python", "py", "python3", "py3", "ipython"})
CODE_TAG = "code"  # the language of a <code> element

# "Code: ```python" opens a block at the end of a line. Searched in the last characters alone: a search over a
# long line of backticks would take quadratic time.
_OPEN_AT_END = re.compile(r"(?P<mark>`{3,})[ \t]*(?P<tag>python3?|py3?|ipython)$", re.IGNORECASE)
_OPEN_AT_END_LENGTH = 40
_OPEN_CODE = re.compile(r"^[ \t]*<code>")
_CODE = "<code>"
_CLOSE_CODE = "</code>"
_TOKEN = re.compile(r"\"\"\"|'''|\\.|[\"'#`~]|</code>")


@dataclass(frozen=True, slots=True)
class Block:
    """One code block: its language in lower case ("" for a bare fence), and where its opening mark starts."""

    tag: str
    code: str
    closed: bool
    start: int

    @property
    def is_python(self) -> bool:
        """Tell whether the block is marked as Python."""
        return self.tag in PYTHON_TAGS or self.tag == CODE_TAG


class _Strings:
    """Follows Python strings over lines: which closing mark on a line stands outside of them."""

    def __init__(self, *, naive: bool) -> None:
        self._naive = naive  # every mark counts, also in strings
        self.quote = ""  # the quotes of the string that is open at the end of the line

    def closer(self, line: str, mark: str) -> int:
        """Return where the closing mark starts on this line, or -1; remember the open string."""
        if mark == _CLOSE_CODE:
            return line.find(mark) if self._naive else self._scan(line, mark)
        return self._fence(line, mark)

    def _fence(self, line: str, mark: str) -> int:
        start = len(line) - len(line.lstrip())
        # Outside of a string no line of Python begins or ends in a fence, whatever else stands on it.
        if line.startswith(mark, start) and (self._naive or not self.quote):
            return start
        bare = line.rstrip()
        if self._naive:
            return -1
        outside = self._scan(line, mark) >= 0
        return len(bare.rstrip(mark[0])) if outside and bare.endswith(mark) else -1

    def _scan(self, line: str, mark: str) -> int:
        for token in _TOKEN.finditer(line):
            text = token[0]
            if self.quote:
                self.quote = "" if text == self.quote else self.quote
            elif text in {'"', "'", '"""', "'''"}:
                self.quote = text
            elif text == "#":
                # A comment may quote anything; only the tag that ends a one-line <code> element still counts.
                return line.find(mark, token.start()) if mark == _CLOSE_CODE else -1
            elif line.startswith(mark, token.start()):
                return token.start()
        if len(self.quote) == 1 and not line.endswith("\\"):
            self.quote = ""  # a plain string ends with its line
        return -1


class BlockScanner:
    """Takes lines, gives blocks."""

    def __init__(self, *, naive: bool = False) -> None:
        self._naive = naive
        self._strings = _Strings(naive=naive)
        self._mark = ""  # the closing mark of the open block
        self._tag = ""
        self._indent = ""
        self._start = 0
        self._lines: list[str] = []
        self._offset = 0

    @property
    def inside(self) -> bool:
        """Tell whether a block is open."""
        return bool(self._mark)

    @property
    def mark(self) -> str:
        """Return the mark that closes the open block, "" where none is open."""
        return self._mark

    @property
    def inside_string(self) -> bool:
        """Tell whether a string of the open block is open."""
        return bool(self._strings.quote)

    @property
    def inside_python(self) -> bool:
        """Tell whether the open block is Python."""
        return self.inside and (self._tag in PYTHON_TAGS or self._tag == CODE_TAG)

    def line(self, line: str) -> Block | None:
        """Take one line without its line feed; return the block it closes."""
        start = self._offset
        self._offset += len(line) + 1
        if self.inside:
            block = self._body(line)
            if block and (fence := _opening(line)) and fence[2] in PYTHON_TAGS:
                self._open(
                    fence[1], fence[2], "", start + fence[0]
                )  # a block that began before the last one ended
            return block
        if code := _OPEN_CODE.match(line):
            self._open(_CLOSE_CODE, CODE_TAG, "", start)
            return self._body(line[code.end() :])
        if line.rstrip().endswith(_CODE):  # "Code: <code>"
            self._open(_CLOSE_CODE, CODE_TAG, "", start + len(line.rstrip()) - len(_CODE))
            return None
        if fence := _opening(line):
            at, mark, tag = fence
            self._open(mark, tag, line[:at] if not line[:at].strip() else "", start + at)
        return None

    def end(self) -> Block | None:
        """Return the block that the text's end left open."""
        return self._block(closed=False) if self.inside else None

    def _open(self, mark: str, tag: str, indent: str, start: int) -> None:
        self._mark, self._tag, self._indent, self._start = mark, tag, indent, start
        # Only Python's quotes are followed: an apostrophe in a text block opens nothing.
        self._strings = _Strings(naive=self._naive or not (tag == "" or self.inside_python))
        self._lines = []

    def _body(self, line: str) -> Block | None:
        at = self._strings.closer(line, self._mark)
        if at < 0:
            self._lines.append(line.removeprefix(self._indent))
            return None
        if rest := line[:at].removeprefix(self._indent):
            self._lines.append(rest)
        return self._block(closed=True)

    def _block(self, *, closed: bool) -> Block:
        block = Block(self._tag, "\n".join(self._lines).strip("\n"), closed, self._start)
        self._mark = ""
        return block


def _opening(line: str) -> tuple[int, str, str] | None:
    """Return where a fence opens on the line, its mark and its tag; by no pattern that a line could slow."""
    bare = line.strip()
    if bare[:3] in {"```", "~~~"}:
        info = bare.lstrip(bare[0])
        if "`" not in info:  # ```x``` in one line is a quotation, not a block
            tag = info.split(maxsplit=1)[0] if info else ""
            return line.index(bare[:3]), bare[: len(bare) - len(info)], tag.strip("{}.:").lower()
    tail = bare[-_OPEN_AT_END_LENGTH:]
    if found := _OPEN_AT_END.search(tail):
        at = len(line.rstrip()) - len(tail) + found.start()
        return at, found["mark"], found["tag"].lower()
    return None


def find_blocks(text: str) -> list[Block]:
    """Find all code blocks of a text with line feeds only.

    A string that never ends swallows the rest of the text, closing marks and all. Then the text is read once
    more with every mark counting: two passes at most, so the time stays linear whatever the text holds.
    """
    blocks, swallowed = _pass(text, naive=False)
    return _pass(text, naive=True)[0] if swallowed else blocks


def _pass(text: str, *, naive: bool) -> tuple[list[Block], bool]:
    scanner = BlockScanner(naive=naive)
    blocks = [block for line in text.split("\n") if (block := scanner.line(line))]
    swallowed = scanner.inside_string and scanner.inside
    if last := scanner.end():
        blocks.append(last)
    return blocks, swallowed
