"""What a program's author should know about this place when an exception comes from the sandbox and not from the logic.

One line at most, added below a traceback. The author is mostly a model that will repair its code: a hint says
what there is instead of what there is not.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Optional

if TYPE_CHECKING:
    from sandboxd.guest.settings import Settings

INTERRUPTED = (
    "Hint: the cell was interrupted, most likely by its time limit. Variables set before are kept. Do less in one cell, "
    "or use a faster way."
)

_ORIGINAL, _CLONES = "/work", "/clones"
_CHAIN_LENGTH = 10
_PACKAGES_CHARACTERS = 2000
_FILES = 20
_NO_ROUTE = frozenset(
    (
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.ECONNREFUSED,
    )
)
_NO_NETWORK = (
    "there is no network in this sandbox; work with the files in {workdir} and the data you were given"
)

Rule = Callable[[Any, "Settings"], Optional[str]]


def hint(error: BaseException, settings: Settings) -> str:
    """Give the hint for an exception or the ones that caused it, as a whole line, or ""."""
    for link in _chain(error):
        for kind, rule in _RULES:
            if isinstance(link, kind):
                found = rule(link, settings)
                if found:
                    return f"Hint: {found}."
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: Optional[BaseException] = error
    for _ in range(_CHAIN_LENGTH):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _missing_module(error: ModuleNotFoundError, settings: Settings) -> Optional[str]:
    name = (error.name or "").partition(".")[0]
    if not name or ("." in (error.name or "") and _is_installed(name, settings)):
        return None
    there = _listing(settings.packages)
    return f"{name!r} is not installed, and nothing can be installed in this sandbox. " + (
        f"Beside the standard library there are: {there}" if there else "Only the standard library is here"
    )


def _is_installed(name: str, settings: Settings) -> bool:
    return any(package.partition("==")[0].lower() == name.lower() for package in settings.packages)


def _listing(packages: tuple[str, ...]) -> str:
    text = ""
    for position, package in enumerate(packages):
        if len(text) + len(package) > _PACKAGES_CHARACTERS:
            return f"{text} and {len(packages) - position} more"
        text += f", {package}" if text else package
    return text


def _network(error: OSError, settings: Settings) -> Optional[str]:
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, socket.gaierror) or error.errno in _NO_ROUTE or _is_refused_socket(error):
        return _NO_NETWORK.format(workdir=settings.workdir)
    return None


def _is_refused_socket(error: OSError) -> bool:
    """Tell a refused socket call from a refused file: it names no file, and was raised in the socket module."""
    if error.errno not in (errno.EPERM, errno.EACCES) or error.filename is not None:
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and os.path.basename(trace.tb_frame.f_code.co_filename) == "socket.py"


def _not_writable(error: OSError, settings: Settings) -> Optional[str]:
    if error.errno not in (errno.EPERM, errno.EACCES, errno.EROFS) or not isinstance(
        error.filename, (str, bytes)
    ):
        return None
    path = os.path.abspath(os.fsdecode(error.filename))
    if path.startswith((settings.workdir + "/", "/tmp/")):  # noqa: S108 - the jail's own
        return None
    if settings.workdir != _ORIGINAL and (path + "/").startswith((_ORIGINAL + "/", _CLONES + "/")):
        return f"this session is a clone, and its files are in {settings.workdir}: use relative paths"
    return f"only {settings.workdir} and /tmp can be written; the rest is read-only or hidden"


def _no_such_file(error: FileNotFoundError, settings: Settings) -> Optional[str]:
    if not isinstance(error.filename, (str, bytes)):
        return None
    name = os.path.basename(os.fsdecode(error.filename))
    if name in ("pip", "pip3", "apt", "apt-get", "conda", "uv"):
        return f"nothing can be installed in this sandbox; there is: {_listing(settings.packages) or 'the standard library'}"
    try:
        names = sorted(os.listdir(settings.workdir))
    except OSError:
        return None
    if not names:
        return f"{settings.workdir} holds no files yet"
    more = f" and {len(names) - _FILES} more" if len(names) > _FILES else ""
    return f"{settings.workdir} holds: " + ", ".join(map(repr, names[:_FILES])) + more


def _resources(error: OSError, settings: Settings) -> Optional[str]:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the sandbox's disk is full; remove what is not needed from {settings.workdir} and /tmp"
    if error.errno == errno.EFBIG:
        return "the file is over the sandbox's size limit"
    if error.errno in (errno.EAGAIN, errno.ENOMEM) and error.filename is None:
        return "the sandbox's limit of processes, threads or memory is reached"
    return None


def _threads(error: RuntimeError, _settings: Settings) -> Optional[str]:
    if "can't start new thread" in str(error):
        return "the sandbox's limit of processes and threads is reached; use fewer workers"
    return None


def _memory(_error: MemoryError, _settings: Settings) -> str:
    return "the sandbox's memory limit is reached; work in chunks, choose smaller types, delete what is not needed"


def _no_input(error: EOFError, _settings: Settings) -> Optional[str]:
    if "reading a line" in str(error):
        return "nobody can type here, so input() has no answer; write the values into the code"
    return None


def _notebook_syntax(error: SyntaxError, settings: Settings) -> Optional[str]:
    line = (error.text or "").lstrip()
    if line.startswith(("!", "%")):
        there = _listing(settings.packages) or "the standard library"
        return f"this is plain Python without ! and % commands; nothing can be installed, there is: {there}"
    if line.startswith("```"):
        return "send the code without the Markdown fence"
    return None


def _not_awaited(error: Exception, _settings: Settings) -> Optional[str]:
    if "coroutine" in str(error):
        return "an async function or tool was called without await: write `await f(...)`, also at the top of a cell"
    return None


_RULES: List[tuple[type[BaseException], Rule]] = [
    (ModuleNotFoundError, _missing_module),
    (OSError, _network),
    (OSError, _not_writable),
    (FileNotFoundError, _no_such_file),
    (OSError, _resources),
    (RuntimeError, _threads),
    (MemoryError, _memory),
    (EOFError, _no_input),
    (SyntaxError, _notebook_syntax),
    (TypeError, _not_awaited),
    (AttributeError, _not_awaited),
]
