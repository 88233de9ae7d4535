"""Text that leaves the guest: bounded, and valid Unicode."""

from __future__ import annotations


def clean(text: str) -> str:
    """Make a string encodable as UTF-8: lone surrogates become visible escapes."""
    if text.isascii():
        return str.__str__(text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def clip(text: str, limit: int) -> str:
    """Cut a text at a limit of characters, saying how much is missing."""
    if len(text) <= limit:
        return clean(text)
    return clean(text[:limit]) + marker(len(text) - limit, "characters")


def clip_middle(text: str, limit: int) -> str:
    """Cut the middle out of a text, saying how much is missing."""
    if len(text) <= limit:
        return clean(text)
    head = limit // 4
    tail = limit - head
    return clean(text[:head]) + marker(len(text) - limit, "characters") + "\n" + clean(text[-tail:])


def marker(count: int, what: str) -> str:
    """Say that something was left out, in words no program prints by chance."""
    return f"… [{count:,} more {what} left out]"


def bounded_repr(value: object, limit: int) -> str:
    """Give a value's repr, cut at a limit of characters.

    Long plain sequences are cut before their repr is made: each item takes two characters at least, so the
    rest could not be seen anyway. Runs the value's own code, and lets out what that raises.
    """
    kind = type(value)
    if kind in (str, bytes, list, tuple) and len(value) > limit:  # type: ignore[arg-type]
        shown = repr(value[:limit])[:limit]  # type: ignore[index]
        return clean(shown) + marker(len(value) - limit, "items" if kind in (list, tuple) else "characters")  # type: ignore[arg-type]
    return clip(repr(value), limit)
