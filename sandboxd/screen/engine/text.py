"""Checks of the raw text, before any parser sees it. Linear in its size; runs in the daemon.

Trojan source: the tokenizer takes these characters inside comments and strings, and a reader's screen hides them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .findings import Findings

_HINT_ESCAPE = "Write it as an escape such as \\u200b inside the string, or remove it."
_NUL = re.compile("\x00")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE = re.compile(r"\r\n|\r|\n")
_MAX_EACH = 20
_UNUSUAL = re.compile("[^\t\n\f\r -~]")  # most texts have none: one pattern instead of three

# U+200E/F and U+061C are marks, U+202A-E and U+2066-9 embeddings, overrides and isolates.
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# A joiner between two non-ASCII characters belongs to emoji and to Persian and Indic writing; next to ASCII it only hides.
_ZERO_WIDTH = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0"
    "\U000e0000-\U000e007f]|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
# C0 but tab, line feed, form feed and carriage return; DEL; C1; the two Unicode line separators.
_CONTROL = re.compile("[\x01-\x08\x0b\x0e-\x1f\x7f-\x9f\u2028\u2029]")

_CHARACTERS = {
    "bidi": ("bidi-control", _BIDI, "a bidirectional control"),
    "zero_width": ("zero-width-character", _ZERO_WIDTH, "an invisible character"),
    "control": ("control-character", _CONTROL, "a control character"),
}


def check_size(source: str, max_bytes: int, found: Findings) -> None:
    """Refuse what is too large, holds NUL, or has no UTF-8 form. These hold for unscreened policies too."""
    if len(source) > max_bytes or (len(source) * 4 > max_bytes and _utf8_size(source) > max_bytes):
        message = f"the source is larger than {max_bytes} bytes"
        found.add("source-too-large", message, hint="Put data into a file in /work and read it from there.")
        return
    if "\0" in source:
        _characters(source, ("nul-character", _NUL, "a NUL character"), "deny", found)
    if not source.isascii():
        _characters(source, ("not-unicode", _SURROGATE, "a lone surrogate"), "deny", found)


def check_text(source: str, budgets: Mapping[str, int], actions: Mapping[str, str], found: Findings) -> None:
    """Run every check that needs no parser; stops at a size that the others should not have to read."""
    check_size(source, budgets["source"], found)
    if len(found):
        return
    _check_lines(source, budgets["line"], found)
    if _UNUSUAL.search(source) is None:
        return
    for name, kind in _CHARACTERS.items():
        _characters(source, kind, actions[name], found)


def _utf8_size(source: str) -> int:
    return len(source.encode("utf-8", "surrogatepass"))


def _check_lines(source: str, max_bytes: int, found: Findings) -> None:
    if len(source) * 4 <= max_bytes:
        return
    for number, line in enumerate(_LINE.split(source), start=1):
        if len(line) > max_bytes or (len(line) * 4 > max_bytes and _utf8_size(line) > max_bytes):
            message = f"line {number} is longer than {max_bytes} bytes"
            found.add("line-too-long", message, span=(number, 1, number, 1), hint="Break the line.")
            return


def _characters(source: str, kind: tuple[str, re.Pattern[str], str], action: str, found: Findings) -> None:
    rule, pattern, what = kind
    for count, match in enumerate(pattern.finditer(source)):
        if count == _MAX_EACH:
            return
        code = f"U+{ord(match[0][0]):04X}"
        span = _span(source, match.start())
        found.add(rule, f"{what} ({code})", span=span, hint=_HINT_ESCAPE, symbol=code, action=action)


def _span(source: str, offset: int) -> tuple[int, int, int, int]:
    ends = [match.end() for match in _LINE.finditer(source, 0, offset)]
    line, column = len(ends) + 1, offset - (ends[-1] if ends else 0) + 1
    return (line, column, line, column + 1)
