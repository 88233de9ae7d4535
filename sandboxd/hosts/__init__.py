"""What is known about hosts: the names of protections, what a host can lack, why, and the exact remedy.

One place for it, because three parts say it: the launcher when a jail cannot be built, a refused open when a policy
requires more than there is, and `sandboxd doctor`. Nothing here tries anything: it reads files, below a root that tests
replace by trees of other hosts. Standard library alone.
"""

from sandboxd.hosts.blocked import Blocked, explain, userns_remedy, why_blocked
from sandboxd.hosts.container import container_kind, container_mark
from sandboxd.hosts.files import HostFiles
from sandboxd.hosts.protections import PROTECTIONS, ProtectionName, protection_remedy

__all__ = (
    "PROTECTIONS",
    "Blocked",
    "HostFiles",
    "ProtectionName",
    "container_kind",
    "container_mark",
    "explain",
    "protection_remedy",
    "userns_remedy",
    "why_blocked",
)
