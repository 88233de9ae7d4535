"""An object as a bundle of mime types, by Jupyter's conventions. Objects describe themselves: a failing one is left out."""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

from sandboxd.guest import figures, tables
from sandboxd.guest.text import clean, clip, marker

TEXT = "text/plain"
_PNG = "image/png"
_BINARY = frozenset((_PNG, "image/jpeg", "image/gif", "image/webp", "application/pdf"))
_METHODS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", _PNG),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_latex_", "text/latex"),
    ("_repr_json_", "application/json"),
    ("_repr_javascript_", "application/javascript"),
    ("_repr_pdf_", "application/pdf"),
)
# These have no rich form, and are most of what cells end with.
_BARE = frozenset(
    (int, float, str, bool, bytes, complex, list, tuple, dict, set, frozenset, range, type, type(None))
)
# What Pillow's PNG writer does not take (it depends on the version), and what of it people see best; anything else as RGB.
_AS = {"I": "I;16", "La": "LA", "RGBa": "RGBA", "PA": "RGBA"}
_MIME_NAME_LIMIT = 128
_MIMES_LIMIT = 16
_NOTE_CHARACTERS = 500

_dumps = json.JSONEncoder(ensure_ascii=True, default=str).encode


class Bundle(NamedTuple):
    """Mime type to text (but not the plain one), and which of the texts are base64."""

    data: Dict[str, str]
    base64: Set[str]
    notes: List[str]  # what went wrong, for who reads the text


def empty() -> Bundle:
    """Make a bundle to add to."""
    return Bundle({}, set(), [])


def rich(value: Any) -> Bundle:
    """Describe an object by all but its repr."""
    bundle = empty()
    if type(value) in _BARE:
        return bundle
    if figures.is_figure(value):
        _add_drawn(bundle, figures.png, value)
        return bundle
    if _is_image(value):
        _add_drawn(bundle, _image_png, value)
        return bundle
    add_all(bundle, _call(value, "_repr_mimebundle_", include=None, exclude=None))
    bundle.data.pop(TEXT, None)
    for method, mime in _METHODS:
        if mime not in bundle.data:
            _attempt(_add, bundle, mime, _call(value, method))
    table = tables.table_of(value)
    if table is not None:
        if "text/html" not in bundle.data:
            _attempt(_add, bundle, "text/html", _attempt(tables.html, table))
        _attempt(_add, bundle, tables.MIME, _attempt(tables.columns, table))
    return bundle


def add_all(bundle: Bundle, data: Any) -> None:
    """Add what a mimebundle method gave, or a caller of `display(..., raw=True)`."""
    if isinstance(data, dict):
        for mime, value in list(data.items())[:_MIMES_LIMIT]:
            if isinstance(mime, str) and len(mime) <= _MIME_NAME_LIMIT:
                _attempt(_add, bundle, clean(mime), value)
        if len(data) > _MIMES_LIMIT:
            bundle.notes.append(marker(len(data) - _MIMES_LIMIT, "forms"))


def _add(bundle: Bundle, mime: str, value: Any) -> None:
    """Add one form of an object, if it is what its mime type promises."""
    if value is None or value == "":
        return
    if mime in _BINARY or isinstance(value, (bytes, bytearray)):
        if isinstance(value, str):
            value = base64.b64decode(value, validate=True)
        bundle.data[mime] = base64.b64encode(value).decode("ascii")
        bundle.base64.add(mime)
    elif isinstance(value, str):
        bundle.data[mime] = clean(value)
    elif mime.endswith("json"):
        bundle.data[mime] = _dumps(value)


def _add_drawn(bundle: Bundle, draw: Callable[[Any], bytes], value: Any) -> None:
    """Add a picture; unlike a display method's, the program's author must hear why there is none."""
    try:
        _add(bundle, _PNG, draw(value))
    except Exception as error:
        bundle.notes.append(clip(f"[no {_PNG}: {type(error).__name__}: {error}]", _NOTE_CHARACTERS))


def _call(value: Any, method: str, **options: Any) -> Any:
    """Call a display method that the object's class has; proxies answer every name on the instance."""
    function = getattr(type(value), method, None)
    if not callable(function):
        return None
    result = _attempt(function, value, **options)
    if isinstance(result, tuple) and result:  # (data, metadata)
        return result[0]
    return result


def _attempt(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call what the program wrote; a failure means: no such form. Interrupts pass through."""
    try:
        return function(*arguments, **options)
    except Exception:
        return None


def _is_image(value: Any) -> bool:
    kind: Optional[Any] = getattr(sys.modules.get("PIL.Image"), "Image", None)
    return isinstance(kind, type) and isinstance(value, kind)


def _image_png(image: Any) -> bytes:
    try:
        return _saved(image)
    except OSError:  # such as CMYK, or a float a pixel: PNG has no such form
        return _saved(image.convert(_AS.get(image.mode, "RGB")))


def _saved(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
