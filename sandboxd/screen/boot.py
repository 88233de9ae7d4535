"""The first lines of a screener process: makes a few packages importable, by name, and nothing beside them.

Run by path as `python -I -S -B boot.py FOLDER RESTRICTED_PYTHON SETTINGS`. Both folders may be a whole site-packages; on
`sys.path` they would lend the process everything in it.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


class Chosen:
    """Finds the packages it was given, each in its own folder.

    Args:
        folders: package name to the folder that holds it.
        bare: packages whose `__init__` is the daemon's side: found as a folder of modules.
    """

    def __init__(self, folders: dict[str, str], bare: dict[str, str]) -> None:
        self._folders = folders
        self._bare = bare

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """Answer the import system."""
        if name in self._bare:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [self._bare[name]]
            return spec
        if name in self._folders:
            return PathFinder.find_spec(name, [self._folders[name]])
        return None


def main() -> None:
    """Import the worker and serve."""
    _, folder, restricted_python, settings = sys.argv
    folders = {"sandboxd": folder}
    if restricted_python:
        folders["RestrictedPython"] = restricted_python
    sys.meta_path.insert(0, Chosen(folders, {"sandboxd.screen": folder + "/sandboxd/screen"}))
    from sandboxd.screen.engine import worker  # noqa: PLC0415  only now it can be found

    worker.serve(settings)


if __name__ == "__main__":
    main()
