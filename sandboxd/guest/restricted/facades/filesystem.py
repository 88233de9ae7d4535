"""What of `os`, `os.path` and `tempfile` works on files: the same, for paths below the program's directories alone.

Elsewhere each raises PermissionError, queries too: a file that seems absent would be a silently different answer.
"""

from __future__ import annotations

import tempfile
from functools import partial
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from sandboxd.guest.restricted import files
from sandboxd.guest.restricted.files import real
from sandboxd.guest.restricted.frozen import Frozen, FrozenCallable, frozen_callable, refuse_base, take_slot

Maker = Callable[[ModuleType], Any]

_query = partial(real, root=True)
_itself = partial(real, follow=False)


def _one(name: str, check: Callable[[Any], str]) -> Maker:
    """Make what makes a function of one path."""

    def make(module: ModuleType) -> FrozenCallable:
        function = getattr(module, name)

        def confined(path: Any, /) -> Any:
            return function(check(path))

        confined.__doc__ = function.__doc__
        return frozen_callable(name, confined)

    return make


def _two(name: str) -> Maker:
    """Make what makes a function that gives one path another's place."""

    def make(module: ModuleType) -> FrozenCallable:
        function = getattr(module, name)

        def confined(src: Any, dst: Any) -> None:
            function(_itself(src), _itself(dst))

        confined.__doc__ = function.__doc__
        return frozen_callable(name, confined)

    return make


def _listdir(module: ModuleType) -> FrozenCallable:
    def listdir(path: Any = ".") -> List[str]:
        """Return a list of the names in a directory."""
        names: List[str] = module.listdir(_query(path))
        return names

    return frozen_callable("listdir", listdir)


def _mkdir(module: ModuleType) -> FrozenCallable:
    def mkdir(path: Any, mode: int = 0o777) -> None:
        """Create a directory."""
        module.mkdir(_itself(path), mode)

    return frozen_callable("mkdir", mkdir)


def _makedirs(module: ModuleType) -> FrozenCallable:
    def makedirs(name: Any, mode: int = 0o777, exist_ok: bool = False) -> None:
        """Create a directory and those above it."""
        module.makedirs(real(name, root=exist_ok), mode, exist_ok)

    return frozen_callable("makedirs", makedirs)


def _walk(module: ModuleType) -> FrozenCallable:
    def walk(top: Any, topdown: bool = True) -> Iterator[Tuple[Any, List[Any], List[Any]]]:
        """Go through a directory tree; links to directories are not followed."""
        start = files.exact(top)  # asked once: what it says next could be another
        _query(start)
        for folder, folders, names in module.walk(start, topdown):
            _query(folder)  # the program may have put any name into the list that the walk goes on by
            yield folder, folders, names

    return frozen_callable("walk", walk)


OS: Mapping[str, Maker] = {
    "listdir": _listdir,
    "makedirs": _makedirs,
    "mkdir": _mkdir,
    "remove": _one("remove", _itself),
    "rename": _two("rename"),
    "replace": _two("replace"),
    "rmdir": _one("rmdir", _itself),
    "stat": _one("stat", _query),
    "unlink": _one("unlink", _itself),
    "walk": _walk,
}
PATH: Mapping[str, Maker] = {
    **{
        name: _one(name, _query)
        for name in ("exists", "getatime", "getctime", "getmtime", "getsize", "isdir", "isfile")
    },
    "islink": _one("islink", partial(real, follow=False, root=True)),
    "lexists": _one("lexists", partial(real, follow=False, root=True)),
}


def _place(suffix: Optional[str], prefix: Optional[str], folder: Any) -> Dict[str, Any]:
    """Check where a temporary file is to be: its name must not lead elsewhere either."""
    for part in (suffix, prefix):
        if part is not None and (type(part) is not str or "/" in part):
            raise ValueError("suffix and prefix must be strings without '/' in restricted code")
    return {"suffix": suffix, "prefix": prefix, "dir": files.TEMPORARY if folder is None else _query(folder)}


def _mkdtemp(module: ModuleType) -> FrozenCallable:
    def mkdtemp(suffix: Optional[str] = None, prefix: Optional[str] = None, dir: Any = None) -> str:  # noqa: A002
        """Create a temporary directory, and return its path."""
        path: str = module.mkdtemp(**_place(suffix, prefix, dir))
        return path

    return frozen_callable("mkdtemp", mkdtemp)


def _named_temporary_file(module: ModuleType) -> FrozenCallable:
    def NamedTemporaryFile(  # noqa: N802, PLR0917 - the library's
        mode: str = "w+b",
        buffering: int = -1,
        encoding: Optional[str] = None,
        newline: Optional[str] = None,
        suffix: Optional[str] = None,
        prefix: Optional[str] = None,
        dir: Any = None,  # noqa: A002
        delete: bool = True,
    ) -> Any:
        """Create and return a temporary file with a name."""
        place = _place(suffix, prefix, dir)
        return module.NamedTemporaryFile(mode, buffering, encoding, newline, delete=delete, **place)

    return frozen_callable("NamedTemporaryFile", NamedTemporaryFile)


class TemporaryDirectory(Frozen):
    """A directory that goes when its `with` block ends."""

    __slots__ = ("_made",)
    __init_subclass__ = refuse_base

    def __new__(
        cls,
        suffix: Optional[str] = None,
        prefix: Optional[str] = None,
        dir: Any = None,  # noqa: A002
        ignore_cleanup_errors: bool = False,
    ) -> Any:
        """Make the directory."""
        self = object.__new__(cls)
        place = _place(suffix, prefix, dir)
        _made.__set__(self, tempfile.TemporaryDirectory(**place, ignore_cleanup_errors=ignore_cleanup_errors))
        return self

    @property
    def name(self) -> str:
        """Its path."""
        return str(_made.__get__(self).name)

    def cleanup(self) -> None:
        """Remove it, and all that is in it."""
        _made.__get__(self).cleanup()

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *_error: object) -> None:
        self.cleanup()

    def __repr__(self) -> str:
        return f"<TemporaryDirectory {self.name!r}>"


_made = take_slot(TemporaryDirectory, "_made")

TEMPFILE: Mapping[str, Maker] = {
    "NamedTemporaryFile": _named_temporary_file,
    "TemporaryDirectory": lambda _module: TemporaryDirectory,
    "mkdtemp": _mkdtemp,
}
