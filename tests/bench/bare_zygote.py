"""The baseline of every one-shot: a zygote as warm as the real one that clones children which end at once.

It is started and warmed as `sandboxd.jail.zygote` is, so its page tables are those that a real fork copies. Its children get
the jail's namespaces and nothing else: no id map, no mounts, no limits, no filters, no guest.
"""

from __future__ import annotations

import gc
import os
import sys

import sandboxd.guest
from sandboxd.jail import kernel
from sandboxd.jail.zygote import NAMESPACES


def main() -> None:
    """Serve: one byte in, one child cloned and reaped, one byte out. Arguments: ROOT SITE-PACKAGES PRELOAD."""
    site, preload = sys.argv[2], sys.argv[3]
    if site:
        sys.path.append(site)
    sandboxd.guest.warm({
        "preload": preload.split(",") if preload else [],
        "packages": [],
        "repr_limit": 65536,
        "display_item_bytes": 4 << 20,
        "display_total_bytes": 8 << 20,
        "workdir": "/work",
    })  # fmt: skip
    gc.collect()
    gc.freeze()
    os.write(1, b".")
    while os.read(0, 1):
        pid = kernel.clone(NAMESPACES)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        os.write(1, b".")
