"""How the processes of a box get into its cgroups: each moves itself, before it has a second thread.

To move another process the kernel first waits until no processor is inside a fork (RCU, 8 to 17 ms), with a lock held that
freezing any group needs too. A single thread that moves itself waits for nothing: 30 to 90 µs. The launcher opens the files;
the kernel judges by the opener's rights.
"""

from __future__ import annotations

import os
from typing import List

MYSELF = b"0"


def join(fds: List[int]) -> None:
    """Enter the groups whose `tasks` (v1) or `cgroup.threads` (v2, within one threaded domain) files these are."""
    for fd in fds:
        os.write(fd, MYSELF)


def try_to_join(fd: int) -> str:
    """Enter a group; return "joined" or why not, and the launcher moves this process before it runs anything."""
    try:
        join([fd])
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "joined"
