"""pandas objects as HTML and as columns of JSON. pandas is known by name only: a cell that uses it has imported it."""

from __future__ import annotations

import math
import sys
from typing import Any, Dict, List, Union

from sandboxd.guest.text import clip

MIME = "application/vnd.sandboxd.table+json"
_ROWS = 200
_COLUMNS = 100
_CELL_CHARACTERS = 500
_EXACT_INT_BITS = 63
_MISSING = ("NaTType", "NAType")

Cell = Union[None, bool, int, float, str]


def table_of(value: Any) -> Any:
    """Give the DataFrame of a value that is one, a Series, or a Styler; None of any other."""
    if _is(value, "pandas", "DataFrame"):
        return value
    if _is(value, "pandas", "Series"):
        return value.to_frame()
    # pandas.io.formats.style is there only where a Styler was made.
    return value.data if _is(value, "pandas.io.formats.style", "Styler") else None


def html(frame: Any) -> str:
    """Give pandas' own notebook HTML."""
    text: str = frame._repr_html_()
    return text


def columns(frame: Any) -> Dict[str, Any]:
    """Give the first rows column by column.

    Returns:
        columns and dtypes (by position), index and its dtype, data (one list a column), row_count and column_count of the
        whole, truncated. Missing values are null; infinities are "inf" and "-inf", for JSON has none.
    """
    rows, width = frame.shape
    head = frame.iloc[:_ROWS, :_COLUMNS]
    return {
        "columns": [_text(name) for name in head.columns],
        "dtypes": [_text(kind) for kind in head.dtypes],
        "index": _cells(head.index),
        "index_dtype": _text(head.index.dtype),
        # By position: names of columns may repeat.
        "data": [_cells(head.iloc[:, position]) for position in range(head.shape[1])],
        "row_count": int(rows),
        "column_count": int(width),
        "truncated": rows > _ROWS or width > _COLUMNS,
    }


def _cells(series: Any) -> List[Cell]:
    return [_cell(value) for value in series.tolist()]


def _cell(value: Any) -> Cell:
    """Give a value as JSON: missing ones as null, dates in ISO form, what JSON cannot hold as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() <= _EXACT_INT_BITS:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if type(value).__name__ in _MISSING or (isinstance(value, float) and math.isnan(value)):
        return None
    return _text(value.isoformat() if hasattr(value, "isoformat") else value)


def _text(value: Any) -> str:
    return clip(str(value), _CELL_CHARACTERS)


def _is(value: Any, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)
