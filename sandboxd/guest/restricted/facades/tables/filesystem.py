"""Files: below the program's directories, as `open` is."""

from __future__ import annotations

from sandboxd.guest.restricted.facades import filesystem
from sandboxd.guest.restricted.facades.tables.entry import Entry

_NO_HOST = "programs, processes and the environment are not there in restricted code"

TABLE = {
    "os": Entry(
        "curdir fspath getcwd linesep name pardir sep urandom",
        wrapped=filesystem.OS,
        children="path",
        hints={"system": _NO_HOST, "popen": _NO_HOST, "environ": _NO_HOST, "getenv": _NO_HOST},
    ),
    "os.path": Entry(
        "abspath basename commonpath commonprefix dirname isabs join normcase normpath relpath sep split splitext",
        wrapped=filesystem.PATH,
    ),
    "tempfile": Entry(wrapped=filesystem.TEMPFILE, implicit="random shutil weakref"),
}
