"""How many descriptors the daemon may hold: as many as the host's hard limit allows, up to what it could ever need."""

from __future__ import annotations

import resource

MOST = 65536  # 256 sessions with 256 clones and checkpoints would not fill half of it


def take_descriptors() -> int:
    """Raise this process's soft limit of open files, for it and for what it starts; return it.

    The usual 1024 is for programs that call select(2). A message whose descriptors find no room breaks the connection to the
    launcher, so one client's clones must not use them up. A guest has a limit of its own.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
