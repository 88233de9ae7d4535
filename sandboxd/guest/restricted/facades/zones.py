"""`zoneinfo.ZoneInfo` for names that are what they seem.

The library checks a zone's name and joins it to a path by the name's own methods: of a `str` subclass they are the
program's, and open any file, or import any module as the package of the zone's data.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any, Callable


def zone_info(module: ModuleType) -> Any:
    """Make the library refuse names that are no exact strings, and give its class."""
    paths: Any = sys.modules[f"{module.__name__}._tzpath"]
    if not hasattr(paths._validate_tzfile_path, "__wrapped__"):  # noqa: SLF001 - every way to a file goes by it
        paths._validate_tzfile_path = _exact(paths._validate_tzfile_path)  # noqa: SLF001
    return module.ZoneInfo


def _exact(validate: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(validate)
    def validate_path(path: Any, *rest: Any) -> Any:
        if type(path) is not str:
            raise TypeError("the name of a time zone must be a plain string in restricted code")
        return validate(path, *rest)

    return validate_path
