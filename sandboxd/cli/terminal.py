r"""What keeps a sandbox's output from driving the terminal it is shown on.

A terminal obeys escape sequences: they set its title and clipboard (OSC 52), forge links (OSC 8), move the
cursor over what was shown before, and make it type answers (DA, DSR). Bidirectional and zero-width characters
make text read differently from what it is. None of them passes: every character that is not visible text, a
space, a newline or a tab is written as `\x1b`, `\u202e` or `\U000e0041`. The decision is per character, so
cutting a text anywhere changes nothing.
"""

from __future__ import annotations

import re
import unicodedata

# Controls (C0, C1, DEL), formats (bidi, zero-width, tags, soft hyphen), surrogates, private use,
# unassigned (a newer terminal may know a meaning), line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and symbols by category that show nothing at all: fillers, the blank Braille pattern.
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u2800")
_SUSPECT = re.compile(r"[^\n\t\x20-\x7e]")


def escape(text: str) -> str:
    """Return `text` with every character that could drive or deceive a terminal written out."""
    return _SUSPECT.sub(_replace, text)


def escape_line(text: str) -> str:
    """Return `text` on one line: newline and tab are written out too."""
    return escape(text).replace("\n", "\\n").replace("\t", "\\t")


def is_safe(character: str) -> bool:
    """Tell whether a character is shown as it is."""
    if character in "\n\t":
        return True
    return character not in _INVISIBLE and unicodedata.category(character) not in _UNSAFE


def _replace(match: re.Match[str]) -> str:
    character = match[0]
    if is_safe(character):
        return character
    number = ord(character)
    if number <= 0xFF:  # noqa: PLR2004  # the widths of Python's own three escapes
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004
