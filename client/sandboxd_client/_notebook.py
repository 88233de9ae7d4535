"""What a notebook may show of a result: a stranger's pictures as pictures, a stranger's markup in a box without scripts.

The frame has no origin of its own, runs nothing, and its content policy lets it load nothing: no script, no font, no picture
from elsewhere that would tell its owner who looks.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)
_FRAME = '<iframe sandbox="" referrerpolicy="no-referrer" style="{style}" srcdoc="{page}"></iframe>'
_STYLE = "width:100%;height:24em;border:1px solid #ccc"


def bundle(data: Mapping[str, str | bytes]) -> dict[str, str | bytes]:
    """Return what is safe to hand to a notebook: mime type to text or bytes."""
    shown: dict[str, str | bytes] = {"text/plain": _plain(data.get("text/plain", ""))}
    for mime, magic in (("image/png", PNG), ("image/jpeg", JPEG)):
        value = data.get(mime)
        if isinstance(value, bytes) and value.startswith(magic):
            shown[mime] = value
    for mime in ("text/html", "image/svg+xml"):
        markup = data.get(mime)
        if isinstance(markup, str):
            page = html.escape(_POLICY + markup, quote=True)
            shown["text/html"] = _FRAME.format(style=_STYLE, page=page)
            break
    return shown


def _plain(value: str | bytes) -> str:
    """Return text without what would drive a terminal: a notebook may be one."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return "".join(one if one in "\n\t" or one.isprintable() else "\ufffd" for one in text)
