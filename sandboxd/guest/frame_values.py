"""DataFrames by value: names, dtypes, and one list of plain cells a column (protos/TOOLS.md)."""

from __future__ import annotations

import math
import re
import sys
from typing import Any, Callable, Dict, List

TAG = "$sandboxd"
_CELLS = 1_000_000
_NUMBER = re.compile(r"bool(ean)?|u?int(8|16|32|64)|U?Int(8|16|32|64)")
_FLOAT = re.compile(r"[Ff]loat(16|32|64)")
_TIME = re.compile(r"datetime64\[(s|ms|us|ns)(, ?[A-Za-z0-9_+:/-]{1,64})?\]|timedelta64\[(s|ms|us|ns)\]")
_TEXT = re.compile(r"object|str|string(\[[a-z_]{1,32}\])?|category")
_SCALARS = (bool, int, float, str)


class NotPassedError(TypeError):
    """A value does not pass by value; the message says what does."""


def encode(frame: Any) -> Dict[str, Any]:
    """Give a DataFrame as a tagged object.

    Raises:
        NotPassedError: a column, its name or the index is of a kind that has no form of its own.
    """
    pandas = sys.modules["pandas"]
    if frame.size > _CELLS:
        raise NotPassedError(f"a DataFrame of {frame.size:,} cells: at most {_CELLS:,} pass")
    columns = [_label(name) for name in frame.columns]
    series = [frame.iloc[:, place] for place in range(len(columns))]
    return {
        TAG: "dataframe",
        "columns": columns,
        "dtypes": [str(one.dtype) for one in series],
        "data": [_cells(one, f"column {name!r}") for name, one in zip(columns, series)],
        "index": _index(frame.index, pandas),
    }


def decode(raw: Dict[str, Any], *, plain: bool) -> Any:
    """Build the DataFrame, or without pandas and for restricted programs a plain dict of the same keys."""
    if not plain:
        try:
            import pandas  # noqa: PLC0415, ICN001 - the environment may lack it
        except ImportError:
            pass
        else:
            return _frame(raw, pandas)
    return {key: value for key, value in raw.items() if key != TAG}


def _label(name: Any) -> Any:
    if isinstance(name, str):
        return str.__str__(name)
    if hasattr(name, "item") and not isinstance(name, (int, tuple)):
        name = name.item()
    if isinstance(name, int) and not isinstance(name, bool):
        return int(name)
    raise NotPassedError(
        f"a DataFrame's column names must be text or integers, and one is {type(name).__name__}"
    )


def _index(index: Any, pandas: Any) -> Any:
    if isinstance(index, pandas.MultiIndex):
        raise NotPassedError("a DataFrame with a MultiIndex does not pass: use .reset_index()")
    if isinstance(index, pandas.RangeIndex) and index.name is None and index.start == 0 and index.step == 1:
        return None
    name = index.name if index.name is None else str(index.name)
    return {"name": name, "dtype": str(index.dtype), "data": _cells(index.to_series(), "the index")}


def _cells(series: Any, where: str) -> List[Any]:
    dtype = str(series.dtype)
    if _FLOAT.fullmatch(dtype):
        return [_float(cell) for cell in _listed(series)]
    if _NUMBER.fullmatch(dtype):
        return _listed(series)
    if _TIME.fullmatch(dtype):
        return [None if cell is None else cell.isoformat() for cell in _listed(series)]
    if _TEXT.fullmatch(dtype):
        return [_scalar(cell, where) for cell in _listed(series.astype(object))]
    raise NotPassedError(
        f"{where} of a DataFrame has the dtype {dtype[:40]}, which does not pass: use .astype(str)"
    )


def _listed(series: Any) -> List[Any]:
    """List a column's values, None where one is missing."""
    missing = series.isna().tolist()
    if not any(missing):
        return list(series.tolist())
    return [None if lacks else cell for lacks, cell in zip(missing, series.tolist())]


def _float(cell: Any) -> Any:
    if cell is None or math.isfinite(cell):
        return cell
    return "inf" if cell > 0 else "-inf"


def _scalar(cell: Any, where: str) -> Any:
    if type(cell).__module__ == "numpy" and hasattr(cell, "item"):
        cell = cell.item()
    if isinstance(cell, float):
        return _float(float(cell))
    if cell is None or isinstance(cell, bool):
        return cell
    if isinstance(cell, _SCALARS):
        return str.__str__(cell) if isinstance(cell, str) else int(cell)
    raise NotPassedError(
        f"{where} of a DataFrame holds a {type(cell).__name__}: use .astype(str), or a dtype for it"
    )


def _frame(raw: Dict[str, Any], pandas: Any) -> Any:
    index = raw["index"]
    made = None
    if index is not None:
        made = pandas.Index(_column(index["data"], index["dtype"], pandas), name=index["name"])
    columns = [
        pandas.Series(_column(cells, dtype, pandas), index=made)
        for cells, dtype in zip(raw["data"], raw["dtypes"])
    ]
    frame = pandas.concat(columns, axis=1) if columns else pandas.DataFrame(index=made)
    frame.columns = raw["columns"]
    return frame


def _column(cells: List[Any], dtype: str, pandas: Any) -> Any:
    """Build one column; a dtype that is not of the table is taken for `object`."""
    build: Callable[..., Any] = pandas.Series
    if _TIME.fullmatch(dtype):
        parsed = pandas.to_timedelta(cells) if dtype.startswith("timedelta") else _times(cells, dtype, pandas)
        return build(parsed).astype(dtype).array
    if _FLOAT.fullmatch(dtype):
        return build([None if cell is None else float(cell) for cell in cells], dtype=dtype).array
    known = _NUMBER.fullmatch(dtype) or _TEXT.fullmatch(dtype)
    return build(cells, dtype=dtype if known else "object").array


def _times(cells: List[Any], dtype: str, pandas: Any) -> Any:
    """Read ISO texts; those of a zone may have more than one offset in a column."""
    if "," not in dtype:
        return pandas.to_datetime(cells, format="ISO8601")
    zone = dtype.split(",", 1)[1].strip(" ]")
    return pandas.to_datetime(cells, format="ISO8601", utc=True).tz_convert(zone)
