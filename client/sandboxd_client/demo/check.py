"""Checks the agent's answer outside of the sandbox: pandas reads the packaged CSV, not the workbook, and computes again."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

from sandboxd_client.demo.workbook import DataMissingError

if TYPE_CHECKING:
    from pathlib import Path

TARGET = "visib"
CALENDAR = ("year", "month", "day", "hour")
TOLERANCE = 1e-6


def expected(table: Path) -> dict[str, Any]:
    """Return the right answer for a table.

    Raises:
        DataMissingError: pandas is not installed.
    """
    try:
        pandas = importlib.import_module("pandas")  # of the extra `demo`: the client works without
    except ImportError:
        raise DataMissingError("pandas is not installed. Run: pip install 'sandboxd[demo]'") from None
    weather = pandas.read_csv(table)
    numbers = weather.select_dtypes("number").drop(columns=list(CALENDAR))
    ranked = numbers.corr()[TARGET].drop(TARGET).sort_values(key=abs, ascending=False)
    return {"rows": len(weather), "correlations": {str(name): float(value) for name, value in ranked.items()}}


def differences(answer: Any, wanted: dict[str, Any]) -> list[str]:
    """Say in which points an answer differs from the right one; the answer is a claim and may be anything."""
    if not isinstance(answer, dict) or not isinstance(answer.get("correlations"), dict):
        return ["the answer has not the form that was asked for"]
    found = []
    if answer.get("rows") != wanted["rows"]:
        found.append(f"rows: {answer.get('rows')!r} instead of {wanted['rows']}")
    given = answer["correlations"]
    if list(given) != list(wanted["correlations"]):
        found.append(f"order: {', '.join(map(str, given))} instead of {', '.join(wanted['correlations'])}")
    for name, value in wanted["correlations"].items():
        if not _close(given.get(name), value):
            found.append(f"{name}: {given.get(name)!r} instead of {value:.6f}")
    return found


def _close(given: Any, value: float) -> bool:
    return isinstance(given, int | float) and math.isclose(given, value, abs_tol=TOLERANCE)
