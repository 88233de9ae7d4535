"""Text from a sandbox, made fit to be shown: bounded, and without characters that act."""

from __future__ import annotations


def clip(text: str, limit: int) -> str:
    """Cut a long text to its head and tail (where a traceback says most) and tell how much is left out."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head
    return f"{text[:head]}\n[... {len(text) - limit:,} characters left out ...]\n{text[len(text) - tail :]}"


def inert(text: str, kept: str = "\n\t") -> str:
    """Escape control characters, terminal sequences, bidi overrides, lone surrogates; keep all letters."""
    return "".join(
        character
        if character.isprintable() or character in kept
        else character.encode("unicode_escape").decode()
        for character in text.replace("\r\n", "\n")
    )
