"""The guest: it runs model-written cells inside the jail. Standard library only, CPython 3.9 and up.

The guest is no boundary. A cell shares its interpreter, so it can patch, read and forge anything here, the
frames on the control socket included. Nothing that the guest says is trusted: the daemon types it as a claim,
and learns deaths, times and usage by itself. What the guest does against hostile cells only keeps a session
usable for programs that mean no harm.

Theory of operation. The zygote calls `warm` once and forks; the jailed child calls `serve`, which cleans what
a fork leaves behind (`hygiene`), says ready, and runs one cell a frame (`loop`). A cell is compiled and run
in a persistent `__main__` (`cell`), under an interrupt gate (`interrupts`); its value and displays are
described by Jupyter conventions (`display`, `bundle`, `tables`, `figures`), its exception for a reader who
will repair it (`errors`, `hints`). Where the policy restricts, a session's cells are programs that the restricting compiler
made, and run among guards and facades (`restricted`); such a session never runs plain text.

This module imports nothing: `warm` loads the submodules in the zygote, and then hides them from `import`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn, Optional

    from sandboxd.guest.forking import Cradle

__all__ = ("serve", "warm")

_loaded: list[Callable[..., NoReturn]] = []  # what `serve` calls: it could not be imported any more


def warm(settings: Mapping[str, Any]) -> None:
    """Import what the policy preloads and fill caches, once, in the zygote.

    Args:
        settings: preload, packages, repr_limit, display_item_bytes, display_total_bytes, workdir.

    Raises:
        ImportError: a module to preload is missing.
        RuntimeError: a preloaded module left a thread running: forking such a process is unsafe.
    """
    from sandboxd.guest import loop, preload  # noqa: PLC0415 - this package stays cheap to import

    _loaded.append(loop.serve)
    preload.preload(settings)


def serve(control: socket.socket, settings: Mapping[str, Any], cradle: Optional[Cradle] = None) -> NoReturn:
    """Serve cells until the control socket closes; never returns. `warm` comes first.

    Args:
        control: the connected stream socket to the daemon.
        settings: as for `warm`.
        cradle: what it can do about clones of its own; None where it can have none.
    """
    _loaded[0](control, settings, cradle)
