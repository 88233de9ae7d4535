"""DataFrames by value: columns, dtypes by name, and cells as JSON. pandas is used where it is installed, never needed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import importlib.util
import math
import re
import sys
from typing import Any

from sandboxd_client.tools.errors import ToolValueError

MAX_CELLS = 1_000_000
# The dtypes of protos/TOOLS.md; a name from outside of this list is never given to astype.
# A zone is a name as the tz database has them: pandas would open "dateutil//any/path" as a file.
_ZONE = r"(?!dateutil)[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+)*|UTC[+\-]\d\d:\d\d"
_DTYPE = re.compile(
    r"bool(ean)?|u?int(8|16|32|64)|U?Int(8|16|32|64)|[fF]loat(16|32|64)"
    rf"|datetime64\[(s|ms|us|ns)(, ({_ZONE}))?\]|timedelta64\[(s|ms|us|ns)\]"
    r"|object|str|string|category"
)
_NUMBERS = re.compile(r"u?int|U?Int|[fF]loat|bool")


@dataclasses.dataclass(frozen=True, slots=True)
class ToolTable:
    """A DataFrame where pandas is not installed: `data` is a list of columns. `index` None stands for 0, 1, 2."""

    columns: list[str | int]
    dtypes: list[str]
    data: list[list[Any]]
    index: dict[str, Any] | None = None

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows."""
        return list(zip(*self.data, strict=True))


def is_frame(value: Any) -> bool:
    """Tell whether a value is a pandas DataFrame, without loading pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, getattr(pandas, "DataFrame", ()))


def encode_frame(frame: Any, where: str) -> dict[str, Any]:
    """Return a DataFrame or a table as plain data.

    Raises:
        ToolValueError: a column's name or dtype, or a cell, cannot be sent.
    """
    if isinstance(frame, ToolTable):
        return _checked(
            {"columns": frame.columns, "dtypes": frame.dtypes, "data": frame.data, "index": frame.index},
            where,
        )
    columns = [_column_name(name, where) for name in frame.columns]
    if frame.size > MAX_CELLS:
        raise ToolValueError(f"{where} has more than {MAX_CELLS} cells: send a part of it")
    series = [frame.iloc[:, at] for at in range(len(columns))]
    return {
        "columns": columns,
        "dtypes": [
            _dtype_name(one.dtype, f"{where}[{name!r}]") for one, name in zip(series, columns, strict=True)
        ],
        "data": [_cells(one, f"{where}[{name!r}]") for one, name in zip(series, columns, strict=True)],
        "index": _index(frame.index, where),
    }


def decode_frame(value: dict[str, Any]) -> Any:
    """Return a DataFrame where pandas is installed, otherwise a table.

    Raises:
        ToolValueError: the parts do not fit together.
    """
    plain = _checked({key: value[key] for key in ("columns", "dtypes", "data", "index")}, "the table")
    if "pandas" not in sys.modules and importlib.util.find_spec("pandas") is None:
        return ToolTable(**plain)
    pandas = importlib.import_module("pandas")
    try:
        index = plain["index"]
        rows = len(plain["data"][0]) if plain["data"] else len(index["data"]) if index else 0
        made = pandas.RangeIndex(rows)
        if index is not None:
            made = pandas.Index(_series(pandas, index["data"], index["dtype"]), name=index["name"])
        series = [
            _series(pandas, cells, dtype) for cells, dtype in zip(plain["data"], plain["dtypes"], strict=True)
        ]
        frame = pandas.DataFrame(dict(enumerate(series)), index=pandas.RangeIndex(rows))
        frame.columns = plain["columns"]
        frame.index = made
    except Exception as error:  # whatever a library says to a stranger's cells
        raise ToolValueError("the sandbox sent a DataFrame whose cells do not fit its dtypes") from error
    return frame


def _series(pandas: Any, cells: list[Any], dtype: str) -> Any:
    kind = dtype if _DTYPE.fullmatch(dtype) else "object"
    if kind == "str" and pandas.api.types.pandas_dtype("str").kind == "U":
        kind = "object"  # before pandas 3 it is numpy's, which makes of None the word
    held = pandas.Series(cells, dtype="object")
    if kind == "object":
        return held
    if kind.startswith("datetime64["):
        zone = kind.partition(", ")[2].removesuffix("]")
        times = pandas.to_datetime(held, format="ISO8601", utc=bool(zone))
        return times.astype(kind)
    if kind.startswith("timedelta64["):
        return pandas.to_timedelta(held).astype(kind)
    if kind.lower().startswith("float"):
        held = held.map(lambda cell: float("nan") if cell is None else float(cell))
    return held.astype(kind)


def _checked(plain: dict[str, Any], where: str) -> dict[str, Any]:
    columns, dtypes, data, index = (plain[key] for key in ("columns", "dtypes", "data", "index"))
    fine = (
        all(isinstance(part, list) for part in (columns, dtypes, data))
        and len(columns) == len(dtypes) == len(data)
        and all(isinstance(name, str | int) and not isinstance(name, bool) for name in columns)
        and all(isinstance(name, str) for name in dtypes)
        and all(isinstance(cells, list) for cells in data)
        and len({len(cells) for cells in data}) <= 1
        and (index is None or (isinstance(index, dict) and set(index) == {"name", "dtype", "data"}))
    )
    if not fine:
        raise ToolValueError(f"{where} is no table: columns, dtypes and lists of cells must be of one length")
    if sum(len(cells) for cells in data) > MAX_CELLS:
        raise ToolValueError(f"{where} has more than {MAX_CELLS} cells: send a part of it")
    return plain


def _column_name(name: Any, where: str) -> str | int:
    if isinstance(name, str):
        return str(name)
    if hasattr(name, "item"):
        name = name.item()
    if isinstance(name, int) and not isinstance(name, bool):
        return name
    raise ToolValueError(f"{where} has the column {name!r:.80}; names must be text or integers: rename it")


def _dtype_name(dtype: Any, where: str) -> str:
    name = "string" if str(dtype).startswith("string") else str(dtype)
    if not _DTYPE.fullmatch(name):
        raise ToolValueError(
            f"{where} has the dtype {name:.60}, which cannot be sent: convert it with astype"
        )
    return name


def _cells(series: Any, where: str) -> list[Any]:
    """Return the cells as JSON has them; pandas gives Python values for its own scalars."""
    if _NUMBERS.match(str(series.dtype)) and not series.hasnans:
        return [_number(cell) for cell in series.tolist()]
    missing = series.isna().tolist()
    return [None if gone else _cell(cell, where) for cell, gone in zip(series.tolist(), missing, strict=True)]


def _number(cell: Any) -> Any:
    if isinstance(cell, float) and math.isinf(cell):
        return "inf" if cell > 0 else "-inf"
    return cell


def _cell(cell: Any, where: str) -> Any:
    if isinstance(cell, dt.timedelta):
        return str(cell) if not hasattr(cell, "isoformat") else cell.isoformat()
    if isinstance(cell, dt.datetime):
        return cell.isoformat()
    if hasattr(cell, "item") and type(cell).__module__.partition(".")[0] == "numpy":
        cell = cell.item()
    if isinstance(cell, bool | int | float | str):
        return _number(cell)
    raise ToolValueError(
        f"{where} holds a cell of type {type(cell).__qualname__}; cells are text, numbers, bools or missing"
    )


def _index(index: Any, where: str) -> dict[str, Any] | None:
    if type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1) and index.name is None:
        return None
    if getattr(index, "nlevels", 1) != 1:
        raise ToolValueError(f"{where} has an index of several levels: send frame.reset_index()")
    name = index.name
    if name is not None and not isinstance(name, str):
        raise ToolValueError(f"{where} has an index whose name is no text: rename it")
    series = index.to_series()
    return {
        "name": name,
        "dtype": _dtype_name(series.dtype, f"{where}.index"),
        "data": _cells(series, f"{where}.index"),
    }
